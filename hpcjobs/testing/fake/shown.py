"""What is said of a job in every answer: its number, its state, its times."""

import re
import time
from typing import Any

from hpcjobs.testing.fake.store import Job
from hpcjobs.testing.fake.units import node_list, ranges

COMPACT = {
    "PENDING": "PD", "RUNNING": "R", "SUSPENDED": "S", "COMPLETED": "CD", "CANCELLED": "CA", "FAILED": "F",
    "TIMEOUT": "TO", "NODE_FAIL": "NF", "PREEMPTED": "PR", "BOOT_FAIL": "BF", "DEADLINE": "DL",
    "OUT_OF_MEMORY": "OOM", "COMPLETING": "CG", "CONFIGURING": "CF", "RESIZING": "RS", "RESV_DEL_HOLD": "RD",
    "REQUEUED": "RQ", "REQUEUE_FED": "RF", "REQUEUE_HOLD": "RH", "REVOKED": "RV", "SIGNALING": "SI",
    "SPECIAL_EXIT": "SE", "STAGE_OUT": "SO", "STOPPED": "ST",
}  # fmt: skip
LONG = {short: state for state, short in COMPACT.items()}


def number(job: Job) -> str:
    """12, or 12_3 for a task of an array."""
    return str(job["id"]) if job["task"] is None else f"{job['array_id']}_{job['task']}"


def state(job: Job, scenario: dict[str, Any]) -> str:
    """The state in one word, as squeue and scontrol say it."""
    odd = scenario.get("unknown_state")
    if odd and job["state"] == "RUNNING":
        return str(odd) if isinstance(odd, str) else "WIBBLING"
    return "COMPLETING" if job["completing"] else str(job["state"])


def exit_code(record: dict[str, Any]) -> str:
    """code:signal."""
    return f"{record['exit_code']}:{record['exit_signal']}"


def ran(job: Job) -> float:
    """Seconds a job has run."""
    return (job["end"] or time.time()) - job["start"] if job["start"] else 0.0


def nodes(job: Job) -> str:
    return node_list(job["nodes"])


def node_count(job: Job) -> int:
    """Nodes a job has, or will need."""
    return len(job["nodes"]) or job["min_nodes"] or 1


def cpu_count(job: Job) -> int:
    """CPUs a job has, or will need."""
    return sum(job["cpus_on"]) or max(job["ntasks"] * job["cpus_per_task"], job["min_nodes"])


def ends(job: Job) -> float | None:
    """When a job ended, or will have to."""
    if job["end"] or job["limit"] is None or not job["start"]:
        return job["end"] and float(job["end"])
    return float(job["start"] + job["limit"] * job["minute"])


def starts(job: Job) -> float | None:
    """When a job started, or will at the earliest."""
    return job["start"] or (job["begin"] if job["reason"] == "BeginTime" else None)


def priority(job: Job) -> int:
    """Older jobs first; 0 for one that is held."""
    return 0 if job["held"] else 4294900000 - int(job["key"])


def waiting_tasks(tasks: list[Job]) -> str:
    """12_[3-9%2]: the tasks of an array that wait, in one."""
    return f"{tasks[0]['array_id']}_[{indices(tasks)}]"


def indices(tasks: list[Job]) -> str:
    """3-9%2 of some tasks."""
    throttle = f"%{tasks[0]['throttle']}" if tasks[0]["throttle"] else ""
    return ranges([task["task"] for task in tasks]) + throttle


def together(job: Job) -> bool:
    """Whether a job is one of the tasks of an array that have never started: those share a line."""
    return job["task"] is not None and job["state"] == "PENDING" and not job["restarts"]


def collapsed(jobs: list[Job]) -> list[list[Job]]:
    """Jobs one by one, but the waiting tasks of an array together."""
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(("array", job["array_id"]) if together(job) else ("job", job["key"]), []).append(job)
    return list(groups.values())


def wanted_ids(text: str) -> list[tuple[int, set[int] | None]]:
    """[(12, None), (13, {0, 1, 2})] of 12,13_[0-2]; ValueError for what is no job number."""
    from hpcjobs.testing.fake.units import numbers

    found: list[tuple[int, set[int] | None]] = []
    for word in re.findall(r"[^,\[]+(?:\[[^\]]*\])?", text):
        match = re.fullmatch(r"(\d+)(?:_(?:\[([^\]%]*)(?:%\d+)?\]|(\d+)|\*))?(?:\.\w+)?", word.strip())
        if not match:
            raise ValueError(word)
        some = match[2] or match[3]
        found.append((int(match[1]), set(numbers(some)) if some else None))
    return found


def is_one_of(job: Job, wanted: list[tuple[int, set[int] | None]]) -> bool:
    """Whether a job is meant by one of these numbers."""
    for number_, tasks in wanted:
        if tasks is None and number_ in (job["id"], job["array_id"]):
            return True
        if tasks is not None and number_ == job["array_id"] and job["task"] in tasks:
            return True
    return False
