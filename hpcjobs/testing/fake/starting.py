"""Starting the batch script of a job: its environment, its log, its process."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcjobs.testing.fake.machine import dialect
from hpcjobs.testing.fake.store import FOLDER, Job
from hpcjobs.testing.fake.units import node_list, numbers, task_counts

CREATES_LOG_FOLDERS = (23, 2)
TELLS_THE_END = (23, 2)


def environment(job: Job, config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """What a batch script finds in its environment."""
    found = exported(job)
    nodes = node_list(job["nodes"])
    cpus = [str(count) for count in job["cpus_on"]]
    found |= {
        FOLDER: str(folder),
        "HPCJOBS_FAKE_MINUTE": f"{job['minute']:g}",
        "SLURM_JOB_ID": str(job["id"]),
        "SLURM_JOBID": str(job["id"]),
        "SLURM_JOB_NAME": job["name"],
        "SLURM_JOB_USER": job["user"],
        "SLURM_JOB_UID": str(job["uid"]),
        "SLURM_JOB_PARTITION": job["partition"],
        "SLURM_JOB_QOS": job["qos"],
        "SLURM_JOB_NODELIST": nodes,
        "SLURM_NODELIST": nodes,
        "SLURM_JOB_NUM_NODES": str(len(job["nodes"])),
        "SLURM_NNODES": str(len(job["nodes"])),
        "SLURM_JOB_CPUS_PER_NODE": task_counts(job["cpus_on"]),
        "SLURM_CPUS_ON_NODE": cpus[0],
        "SLURM_TASKS_PER_NODE": task_counts(job["tasks_on"]),
        "SLURM_SUBMIT_DIR": job["submit_dir"],
        "SLURM_SUBMIT_HOST": os.uname().nodename,
        "SLURM_CLUSTER_NAME": str(config["cluster"]),
        "SLURMD_NODENAME": job["nodes"][0],
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_TASK_PID": "0",
    }
    asked = {
        "SLURM_NTASKS": job["ntasks_asked"] or job["ntasks_per_node"],
        "SLURM_NPROCS": job["ntasks_asked"] or job["ntasks_per_node"],
        "SLURM_NTASKS_PER_NODE": job["ntasks_per_node"],
        "SLURM_CPUS_PER_TASK": job["cpus_asked"],
        "SLURM_MEM_PER_NODE": job["mem_per_node"],
        "SLURM_MEM_PER_CPU": job["mem_per_node"] is None,
        "SLURM_RESTART_COUNT": job["restarts"],
        "SLURM_JOB_ACCOUNT": job["account"],
        "SLURM_GPUS_ON_NODE": job["gpus_per_node"],
        "SLURM_JOB_GPUS": job["gpus_per_node"],
        "CUDA_VISIBLE_DEVICES": job["gpus_per_node"],
    }
    values = {
        "SLURM_NTASKS": sum(job["tasks_on"]),
        "SLURM_NPROCS": sum(job["tasks_on"]),
        "SLURM_NTASKS_PER_NODE": job["ntasks_per_node"],
        "SLURM_CPUS_PER_TASK": job["cpus_per_task"],
        "SLURM_MEM_PER_NODE": f"{job['mem_per_node'] or 0:g}",
        "SLURM_MEM_PER_CPU": f"{job['mem_per_cpu'] or config['memory_per_cpu']:g}",
        "SLURM_RESTART_COUNT": job["restarts"],
        "SLURM_JOB_ACCOUNT": job["account"],
        "SLURM_GPUS_ON_NODE": job["gpus_per_node"],
        "SLURM_JOB_GPUS": ",".join(str(index) for index in range(job["gpus_per_node"])),
        "CUDA_VISIBLE_DEVICES": ",".join(str(index) for index in range(job["gpus_per_node"])),
    }
    found |= {name: str(values[name]) for name, given in asked.items() if given}
    if dialect(config) >= TELLS_THE_END:
        found["SLURM_JOB_START_TIME"] = str(int(job["start"]))
        if job["limit"] is not None:
            found["SLURM_JOB_END_TIME"] = str(int(job["start"] + job["limit"] * job["minute"]))
    return found | array_variables(job)


def array_variables(job: Job) -> dict[str, str]:
    """What a task of an array is told of itself."""
    if job["task"] is None:
        return {}
    tasks = numbers(job["array_text"].partition("%")[0])
    return {
        "SLURM_ARRAY_JOB_ID": str(job["array_id"]),
        "SLURM_ARRAY_TASK_ID": str(job["task"]),
        "SLURM_ARRAY_TASK_COUNT": str(len(tasks)),
        "SLURM_ARRAY_TASK_MIN": str(min(tasks)),
        "SLURM_ARRAY_TASK_MAX": str(max(tasks)),
    }


def exported(job: Job) -> dict[str, str]:
    """The part of the submitter's environment that --export lets through; SLURM_ variables pass in every mode."""
    text = (Path(job["spool"]) / "environment").read_text(errors="surrogateescape") if job["spool"] else ""
    whole = dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
    # What a job of its own said of itself is no news to a job that it submits.
    whole = {name: value for name, value in whole.items() if not name.startswith(("SLURM_ARRAY_", "SLURM_RESTART"))}
    words = job["export"].split(",")
    if "ALL" in words:
        kept = whole
    else:
        names = {"PATH", "HOME", "USER", "LOGNAME", "SHELL"} if words in (["NONE"], ["NIL"]) else set(words)
        kept = {name: value for name, value in whole.items() if name in names or name.startswith("SLURM_")}
        # The commands of the pretend cluster are where those of a real one would be: on every node's PATH.
        kept.setdefault("PATH", whole.get("PATH", "/usr/bin:/bin"))
        kept["SLURM_EXPORT_ENV"] = job["export"]
    return kept | dict(word.split("=", 1) for word in words if "=" in word)


def log_path(job: Job, which: str, node: str = "") -> Path:
    """Where output or error go, with Slurm's patterns filled in."""
    default = "slurm-%A_%a.out" if job["task"] is not None else "slurm-%j.out"
    text = job[which] or job["output"] or default
    filled = {
        "%": "%", "j": str(job["id"]), "J": str(job["id"]), "x": job["name"], "u": job["user"],
        "A": str(job["array_id"] or job["id"]), "a": str(4294967294 if job["task"] is None else job["task"]),
        "N": node or (job["nodes"] or ["node1"])[0], "n": "0", "t": "0", "s": "batch", "r": str(job["restarts"]),
    }  # fmt: skip
    out, rest = "", text
    while rest:
        letter, rest = rest[0], rest[1:]
        width = ""
        while letter == "%" and rest and rest[0].isdigit():
            width, rest = width + rest[0], rest[1:]
        if letter == "%" and rest and rest[0] in filled:
            out, rest = out + filled[rest[0]].zfill(int(width or 0)), rest[1:]
        else:
            out += letter + width
    return Path(job["workdir"]) / out


def start(job: Job, config: Mapping[str, Any], folder: Path) -> "subprocess.Popen[bytes]":
    """Run a batch script, apart from us; OSError when its log cannot be opened or it cannot be run."""
    script = Path(job["spool"]) / "slurm_script"
    with script.open("rb") as opened:
        interpreter = opened.readline()[2:].decode(errors="surrogateescape").split(maxsplit=1)
    workdir = Path(job["workdir"])
    out_path, err_path = log_path(job, "output"), log_path(job, "error")
    if dialect(config) >= CREATES_LOG_FOLDERS:
        out_path.parent.mkdir(parents=True, exist_ok=True)
        err_path.parent.mkdir(parents=True, exist_ok=True)
    if job["open_mode"] != "a":
        for path in (out_path, err_path):
            path.write_bytes(b"")
    # Always to the end: Slurm itself writes into the same file.
    with out_path.open("ab") as out, err_path.open("ab") as err:
        if not workdir.is_dir():
            complaint = (
                f"slurmstepd: error: couldn't chdir to `{workdir}': No such file or directory: going to /tmp instead"
            )
            err.write(f"{complaint}\n".encode())
            err.flush()
        return subprocess.Popen(
            [*(word.strip() for word in interpreter), str(script), *job["args"]],
            cwd=workdir if workdir.is_dir() else "/tmp",  # noqa: S108 - where Slurm goes
            env=environment(job, config, folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def tell(job: Job, text: str) -> None:
    """A line of Slurm's own in a job's log."""
    path = log_path(job, "error")
    if path.is_file():
        with path.open("ab") as log:
            log.write(f"slurmstepd: error: {text}\n".encode())
