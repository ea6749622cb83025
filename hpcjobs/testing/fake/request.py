"""From options to a job, as sbatch and srun ask for one, and the refusals on the way."""

import os
import pwd
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpcjobs.testing.fake.machine import dialect, place, usable
from hpcjobs.testing.fake.options import fail
from hpcjobs.testing.fake.store import Job, Store
from hpcjobs.testing.fake.units import megabytes, minutes, moment, numbers

ENVIRONMENT = {
    "SBATCH_ACCOUNT": "account", "SBATCH_ARRAY_INX": "array", "SBATCH_CLUSTERS": "clusters",
    "SBATCH_CONSTRAINT": "constraint", "SBATCH_EXCLUSIVE": "exclusive", "SBATCH_EXPORT": "export",
    "SBATCH_GPUS": "gpus", "SBATCH_GPUS_PER_NODE": "gpus-per-node", "SBATCH_GRES": "gres",
    "SBATCH_JOB_NAME": "job-name", "SBATCH_MEM_PER_CPU": "mem-per-cpu", "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NO_REQUEUE": "no-requeue", "SBATCH_OPEN_MODE": "open-mode", "SBATCH_OUTPUT": "output",
    "SBATCH_ERROR": "error", "SBATCH_PARTITION": "partition", "SBATCH_QOS": "qos", "SBATCH_REQUEUE": "requeue",
    "SBATCH_RESERVATION": "reservation", "SBATCH_SIGNAL": "signal", "SBATCH_TIMELIMIT": "time",
    "SBATCH_WAIT": "wait",
}  # fmt: skip
MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
FAILED = "sbatch: error: Batch job submission failed: "
KINDS = ("after", "afterok", "afterany", "afternotok", "aftercorr", "afterburstbuffer")


def refuse(options: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """What sbatch refuses before it asks the controller."""
    version = dialect(config)
    if sum(name in options for name in MEMORY) > 1:
        fail(1, "sbatch: fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if version >= (26, 5) and "gres" in options and "gpu" in options["gres"] and "gpus-per-node" in options:
        fail(1, "sbatch: fatal: --gres=gpu and --gpus-per-node are mutually exclusive.")
    for name in ("ntasks", "cpus-per-task", "ntasks-per-node"):
        if name in options and not re.fullmatch(r"[1-9]\d*", options[name]):
            fail(1, f'sbatch: error: Invalid numeric value "{options[name]}" for --{name}.')
    if "nodes" in options and not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)?", options["nodes"]):
        fail(255, f"sbatch: error: invalid number of nodes (-N {options['nodes']})")
    readers: dict[str, Callable[[str], object]] = {
        **dict.fromkeys(MEMORY, megabytes),
        "time": minutes,
        "signal": signals,
        "begin": lambda text: moment(text, time.time()),
    }
    for name, read in readers.items():
        try:
            if name in options:
                read(options[name])
        except ValueError as wrong:
            early = [f"Invalid time specification (pos=0): {wrong}"] if name == "begin" else []
            fail(255, *early, f"sbatch: error: Invalid --{name} specification")
    if options.get("open-mode", "append")[:1] not in ("a", "t"):
        fail(255, "sbatch: error: Invalid --open-mode specification")


def signals(text: str) -> dict[str, Any] | None:
    """--signal=[R|B:]SIG[@seconds]: which, how early, and whether only the batch shell gets it."""
    found = re.fullmatch(r"(?:([RB]+):)?(\w+)(?:@(\d+))?", text)
    if not found or int(found[3] or 60) > 65535:
        raise ValueError(text)
    name = found[2].upper()
    number = int(name) if name.isdigit() else getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if number is None:
        raise ValueError(text)
    return {"number": int(number), "lead": int(found[3] or 60), "batch": "B" in (found[1] or "")}


def build(options: Mapping[str, str], config: Mapping[str, Any], store: Store) -> tuple[Job, list[int | None]]:
    """A job that waits, and the indices of its array; within `Store.change`."""
    job = described(options, config, store)
    refuse_by_controller(job, options, config, store)
    tasks: list[int | None] = [None]
    if "array" in options:
        indices, job["throttle"] = array_of(options["array"], config)
        tasks = list(indices)
        job["array_id"], job["array_text"] = job["id"], options["array"]
    return job, tasks


def described(options: Mapping[str, str], config: Mapping[str, Any], store: Store) -> Job:
    """Everything that is known of a job when it is submitted."""
    now = time.time()
    default = next(name for name, found in config["partitions"].items() if found.get("default"))
    low = int(options["nodes"].split("-")[0]) if "nodes" in options else 0
    per_node = int(options.get("ntasks-per-node", 0))
    tasks = int(options["ntasks"]) if "ntasks" in options else max(low, 1) * (per_node or 1)
    if per_node and not low:
        low = -(-tasks // per_node)
    gpus, gpu_type = gpu_request(options, max(low, 1))
    begin = moment(options["begin"], now) if "begin" in options else now
    return {
        "id": store.next_id(), "array_id": 0, "task": None, "throttle": 0, "array_text": "",
        "name": options.get("job-name", ""), "user": user_name(), "uid": os.getuid(),
        "account": options.get("account", ""), "partition": options.get("partition", default).split(",")[0],
        "qos": options.get("qos", "normal"), "comment": options.get("comment", ""),
        "state": "PENDING", "reason": "JobHeldUser" if "hold" in options else "None", "held": "hold" in options,
        "completing": False, "submit_dir": str(Path.cwd()), "workdir": options.get("chdir", str(Path.cwd())),
        "submit": now, "eligible": begin, "begin": begin, "start": None, "end": None,
        "limit": minutes(options["time"]) if "time" in options else None, "time_asked": "time" in options,
        "minute": float(os.environ.get("HPCJOBS_FAKE_MINUTE") or config["minute"]),
        "min_nodes": low, "ntasks": tasks, "ntasks_asked": "ntasks" in options, "ntasks_per_node": per_node,
        "cpus_per_task": int(options.get("cpus-per-task", 1)), "cpus_asked": "cpus-per-task" in options,
        "mem_per_node": megabytes(options["mem"]) if "mem" in options else None,
        "mem_per_cpu": megabytes(options["mem-per-cpu"]) if "mem-per-cpu" in options else 0,
        "gpus_per_node": gpus, "gpu_type": gpu_type, "exclusive": "exclusive" in options,
        "constraint": options.get("constraint", ""), "nodelist": options.get("nodelist", ""),
        "exclude": options.get("exclude", ""), "dependency": options.get("dependency", ""),
        "kill_on_invalid": options.get("kill-on-invalid-dep", "no") == "yes",
        "requeue": "no-requeue" not in options, "restarts": 0, "history": [], "steps": [], "requests": [],
        "signal": signals(options["signal"]) if "signal" in options else None, "signalled": False,
        "output": options.get("output", ""), "error": options.get("error", ""),
        "open_mode": options.get("open-mode", "truncate")[:1], "export": options.get("export", "ALL"),
        "exit_code": 0, "exit_signal": 0, "ending": "", "ended_by": None, "kill_at": None, "pid": 0,
        "nodes": [], "cpus_on": [], "tasks_on": [], "memory_on": [],
        "usage": {}, "interactive": False, "srun": None, "preempt_time": None, "stuck": "", "shell_rss": 0,
        "spool": "", "args": [], "command": "", "priority": 0,
    }  # fmt: skip


def gpu_request(options: Mapping[str, str], nodes: int) -> tuple[int, str]:
    """GPUs on each node, and their type, of --gpus-per-node, --gres=gpu[:type]:n, --gpus or --gpus-per-task."""
    for name in ("gpus-per-node", "gres", "gpus", "gpus-per-task"):
        text = options.get(name, "")
        if name == "gres":
            text = text.removeprefix("gpu").removeprefix(":") if text.startswith("gpu") else ""
            text = text or ("1" if options.get("gres", "").startswith("gpu") else "")
        if text:
            kind, _, count = text.rpartition(":")
            number = int(count) if count.isdigit() else 1
            kind = kind if count.isdigit() else count
            share = number if name in ("gpus-per-node", "gres") else -(-number // nodes)
            if name == "gpus-per-task":
                share = number * int(options.get("ntasks-per-node", options.get("ntasks", "1")))
            return share, kind
    return 0, ""


def refuse_by_controller(job: Job, options: Mapping[str, str], config: Mapping[str, Any], store: Store) -> None:
    """What the controller refuses, or lets wait for ever where the site does not enforce its limits."""
    partition = config["partitions"].get(job["partition"])
    if partition is None:
        fail(
            1,
            f"sbatch: error: invalid partition specified: {job['partition']}",
            FAILED + "Invalid partition name specified",
        )
    if job["account"] and config["accounts"] and job["account"] not in config["accounts"]:
        fail(1, FAILED + "Invalid account or account/partition combination specified")
    if job["qos"] not in config["qos"]:
        fail(1, FAILED + "Invalid qos specification")
    if not dependencies_known(job["dependency"]):
        fail(1, FAILED + "Job dependency problem")
    if not job["time_asked"]:
        job["limit"] = partition["default_time"] or partition["max_time"]
    over = partition["max_time"] is not None and (job["limit"] is None or job["limit"] > partition["max_time"])
    if over and config["enforce_limits"]:
        fail(1, FAILED + "Requested time limit is invalid (missing or exceeds some limit)")
    features = {feature for node in config["nodes"].values() for feature in node["features"]}
    if set(job["constraint"].replace("&", " ").split()) - features:
        fail(1, FAILED + "Invalid feature specification")
    largest = max(config["nodes"][name]["memory"] for name in partition["nodes"])
    if (job["mem_per_node"] or job["mem_per_cpu"]) > largest:
        fail(
            1,
            "sbatch: error: Memory specification can not be satisfied",
            FAILED + "Requested node configuration is not available",
        )
    if job["gpus_per_node"] and not any(node["gpus"] for node in config["nodes"].values()):
        fail(1, "sbatch: error: Invalid generic resource (gres) specification")
    job["stuck"] = "PartitionTimeLimit" if over else ""
    whole = {**config, "down": []}
    if place(job, whole, {}) is None:
        if config["enforce_limits"]:
            many = job["min_nodes"] > len(usable(job, whole)) > 0
            fail(
                1,
                FAILED
                + ("Node count specification invalid" if many else "Requested node configuration is not available"),
            )
        job["stuck"] = "PartitionConfig"
    if job["stuck"] and not job["held"]:
        job["reason"] = job["stuck"]


def array_of(text: str, config: Mapping[str, Any]) -> tuple[list[int], int]:
    """The indices of --array, and how many may run at once (0: all)."""
    indices, percent, throttle = text.partition("%")
    try:
        found, at_once = numbers(indices), int(throttle) if percent else 0
        if found[-1] >= config["max_array_size"] or (percent and at_once < 1):
            raise ValueError(text)
    except ValueError:
        fail(1, "sbatch: error: Batch job submission failed: Invalid job array specification")
    return found, at_once


def dependencies_known(text: str) -> bool:
    """Whether a dependency is written as Slurm writes them."""
    for part in filter(None, re.split("[,?]", text)):
        kind, _, ids = part.partition(":")
        if kind == "singleton" and not ids:
            continue
        words = [re.fullmatch(r"(\d+)(_(\d+|\*))?(\+\d+)?", word) for word in ids.split(":")]
        if kind not in KINDS or not all(words):
            return False
    return True


def user_name() -> str:
    """Who submits."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
