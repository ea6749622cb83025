"""The fields of sacct, each from a job and, for the lines of steps, one of its steps."""

import time
from collections.abc import Callable
from typing import Any

from hpcjobs.testing.fake import shown
from hpcjobs.testing.fake.ending import requested_memory
from hpcjobs.testing.fake.machine import dialect
from hpcjobs.testing.fake.units import clock, day, limit, memory, node_list

Record = dict[str, Any]
Field = Callable[[Record], object]
AGE = {"Planned": (21, 8), "SubmitLine": (21, 8), "Restarts": (23, 11), "StdOut": (23, 11)}
WIDTHS = {
    "JobID": -12, "JobIDRaw": -12, "Start": 19, "End": 19, "Submit": 19, "Eligible": 19, "NodeList": 15, "User": 9,
    "ExitCode": 8, "DerivedExitCode": 15, "NNodes": 8, "NTasks": 8, "AllocNodes": 10, "ConsumedEnergyRaw": 17,
}  # fmt: skip


def end(record: Record) -> float | None:
    step = record["step"]
    if step is not None and "end" in step:
        return step["end"] and float(step["end"])
    return record["job"]["end"] and float(record["job"]["end"])


def begin(record: Record) -> float | None:
    step = record["step"]
    found = step["start"] if step is not None and "start" in step else record["job"]["start"]
    return found and float(found)


def elapsed(record: Record) -> float:
    started = begin(record)
    return max((end(record) or time.time()) - started, 0.0) if started else 0.0


def state(record: Record) -> str:
    job, step = record["job"], record["step"]
    if step is not None and "state" in step:
        return str(step["state"])
    if step is not None and step["name"] == "extern":
        return "RUNNING" if not job["end"] else "COMPLETED"
    by = job["ended_by"]
    if step is None and job["state"] == "CANCELLED" and by is not None:
        return f"CANCELLED by {by}"
    if step is not None:  # the batch step
        odd = {"TIMEOUT": "CANCELLED", "PREEMPTED": "CANCELLED", "NODE_FAIL": "CANCELLED", "REQUEUED": "CANCELLED"}
        if job["state"] == "OUT_OF_MEMORY" and any(one["state"] == "OUT_OF_MEMORY" for one in job["steps"]):
            return "FAILED"
        return odd.get(job["state"], str(job["state"]))
    return str(job["state"])


def code(record: Record) -> str:
    job, step = record["job"], record["step"]
    if step is not None and "exit_code" in step:
        return shown.exit_code(step)
    if step is not None and step["name"] == "extern":
        return "0:0"
    if step is None and job["state"] in ("TIMEOUT", "CANCELLED", "PREEMPTED", "REQUEUED"):
        return "0:0"
    if step is not None and job["state"] in ("TIMEOUT", "CANCELLED", "PREEMPTED", "REQUEUED"):
        return "0:15"
    return shown.exit_code(job)


def identity(record: Record, raw: bool = False) -> str:
    job, step = record["job"], record["step"]
    name = str(job["id"]) if raw else job.get("range") or shown.number(job)
    return name if step is None else f"{name}.{step['name']}"


def usage(record: Record, name: str) -> float:
    job, step = record["job"], record["step"]
    if step is None:
        both = [job["usage"], *(one["usage"] for one in job["steps"])]
        return float(sum(found.get(name, 0) for found in both))
    if step["name"] == "extern":
        return 0.0
    return float((step["usage"] if "usage" in step else job["usage"]).get(name, 0))


def job_name(record: Record) -> str:
    step = record["step"]
    return str(record["job"]["name"] if step is None else step.get("command", step["name"]))


def raw_limit(record: Record) -> str:
    mins = record["job"]["limit"]
    return "UNLIMITED" if mins is None else str(int(mins))


def rss(record: Record) -> str:
    """Only steps have it, and only once they have ended."""
    if record["step"] is None or not end(record):
        return ""
    return f"{int(usage(record, 'rss'))}K"


def total_cpu(record: Record) -> str:
    seconds = usage(record, "user") + usage(record, "system")
    return f"{int(seconds // 60):02}:{seconds % 60:06.3f}" if seconds < 3600 else clock(seconds)


def resources(record: Record) -> str:
    job = record["job"]
    gpus = f",gres/gpu={job['gpus_per_node'] * shown.node_count(job)}" if job["gpus_per_node"] else ""
    mib = sum(job["memory_on"])
    held = f",mem={memory(mib)}" if mib else ""
    cpus = shown.cpu_count(job)
    return f"billing={cpus},cpu={cpus}{gpus}{held},node={shown.node_count(job)}"


def allocated(record: Record) -> str:
    return resources(record) if record["job"]["nodes"] else ""


def cpus(record: Record) -> int:
    return shown.cpu_count(record["job"]) if record["job"]["nodes"] or record["step"] is None else 0


def waited(record: Record) -> float:
    job = record["job"]
    return float(max((job["start"] or time.time()) - job["eligible"], 0))


def fields(config: dict[str, Any]) -> dict[str, Field]:
    """Every field this version of Slurm knows."""
    planned = "Planned" if dialect(config) >= (21, 8) else "Reserved"

    def of_job(name: str, absent: str = "") -> Field:
        return lambda record: record["job"][name] or absent

    def only_job(field: Field) -> Field:
        return lambda record: "" if record["step"] is not None else field(record)

    def required(record: Record) -> str:
        return requested_memory(record["job"]) if record["step"] is None else ""

    return {
        "JobID": identity, "JobIDRaw": lambda record: identity(record, raw=True),
        "JobName": job_name,
        "State": state, "ExitCode": code, "DerivedExitCode": only_job(lambda record: derived(record["job"])),
        "Start": lambda record: day(begin(record)), "End": lambda record: day(end(record)),
        "Submit": lambda record: day(record["job"]["submit"] if record["step"] is None else begin(record)),
        "Eligible": only_job(lambda record: day(record["job"]["eligible"])),
        "Elapsed": lambda record: clock(elapsed(record)), "ElapsedRaw": lambda record: int(elapsed(record)),
        "Timelimit": only_job(lambda record: limit(record["job"]["limit"])),
        "TimelimitRaw": only_job(raw_limit),
        "NNodes": lambda record: shown.node_count(record["job"]),
        "AllocNodes": lambda record: len(record["job"]["nodes"]),
        "NCPUS": cpus, "AllocCPUS": cpus, "ReqCPUS": lambda record: shown.cpu_count(record["job"]),
        "NTasks": lambda record: "" if record["step"] is None else record["step"].get("tasks", 1),
        "AllocTRES": allocated, "ReqTRES": only_job(resources), "ReqMem": required,
        "MaxRSS": rss, "AveRSS": rss, "MaxVMSize": rss, "TotalCPU": total_cpu,
        "UserCPU": lambda record: clock(usage(record, "user")),
        "SystemCPU": lambda record: clock(usage(record, "system")),
        "CPUTimeRAW": lambda record: int(elapsed(record) * cpus(record)),
        "CPUTime": lambda record: clock(elapsed(record) * cpus(record)),
        "NodeList": lambda record: node_list(record["job"]["nodes"]) or "None assigned",
        "Partition": only_job(of_job("partition")), "Account": of_job("account"), "User": only_job(of_job("user")),
        "UID": only_job(lambda record: record["job"]["uid"]), "QOS": only_job(of_job("qos")),
        "Reason": only_job(lambda record: record["job"]["reason"]), "Comment": only_job(of_job("comment")),
        "ConsumedEnergyRaw": lambda record: 0,
        "ConsumedEnergy": lambda record: 0,
        planned: only_job(lambda record: clock(waited(record))),
        "Priority": only_job(lambda record: shown.priority(record["job"])),
        "Restarts": only_job(lambda record: record["job"]["restarts"]),
        "WorkDir": only_job(of_job("workdir")), "Cluster": lambda _: config["cluster"],
        "SubmitLine": only_job(lambda record: f"sbatch {record['job']['command']}"),
        "MaxRSSNode": lambda record: (record["job"]["nodes"] or [""])[0],
        "Group": only_job(of_job("user")), "Suspended": lambda _: "00:00:00", "Flags": only_job(lambda _: "SchedMain"),
    }  # fmt: skip


def derived(job: dict[str, Any]) -> str:
    """The highest exit code of a job's steps."""
    return f"{max((step['exit_code'] for step in job['steps']), default=0)}:0"
