"""Which waiting job starts next, and what the others wait for."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from hpcjobs.testing.fake.machine import memory_on, place, used
from hpcjobs.testing.fake.store import SETTLED, Job, Store

NEVER = "DependencyNeverSatisfied"


def holds(job: Job) -> bool:
    """Whether a job has nodes."""
    return bool(job["nodes"]) and (job["state"] not in SETTLED or job["completing"])


def schedule(jobs: list[Job], config: Mapping[str, Any], store: Store) -> Iterator[tuple[Job, str]]:
    """Jobs of which something is to be done: `start`, `cancel`, `preempt`, or only `save` a new reason."""
    now = time.time()
    running = [job for job in jobs if holds(job)]
    at_once: dict[int, int] = {}
    for job in running:
        at_once[job["array_id"]] = at_once.get(job["array_id"], 0) + 1
    full: set[tuple[Any, ...]] = set()
    for job in sorted((job for job in jobs if job["state"] == "PENDING"), key=rank(config)):
        before = job["reason"]
        obstacle = waits(job, jobs, now, store)
        if not obstacle and job["throttle"] and at_once.get(job["array_id"], 0) >= job["throttle"]:
            obstacle = "JobArrayTaskLimit"
        if obstacle == NEVER and job["kill_on_invalid"]:
            job["reason"] = NEVER
            yield job, "cancel"
            continue
        if not obstacle:
            shape = shape_of(job)
            where = None if shape in full else place(job, config, used(running))
            if where is not None:
                allot(job, where, config)
                running.append(job)
                at_once[job["array_id"]] = at_once.get(job["array_id"], 0) + 1
                yield job, "start"
                continue
            victims = [] if shape in full else preemptable(job, running, config)
            for victim in victims:
                yield victim, "preempt"
            obstacle = "Priority" if shape in full else "Resources"
            full.add(shape)
        job["reason"] = obstacle
        if obstacle != before:
            yield job, "save"


def rank(config: Mapping[str, Any]) -> Any:
    """The order in which waiting jobs are looked at: higher partitions first, then as they came."""
    return lambda job: (-config["partitions"][job["partition"]]["tier"], job["key"])


def shape_of(job: Job) -> tuple[Any, ...]:
    """What decides whether there is room for a job."""
    names = ("partition", "min_nodes", "ntasks", "ntasks_per_node", "cpus_per_task", "mem_per_node", "mem_per_cpu")
    more = ("gpus_per_node", "gpu_type", "exclusive", "constraint", "nodelist", "exclude")
    return tuple(job[name] for name in (*names, *more))


def waits(job: Job, jobs: list[Job], now: float, store: Store) -> str:
    """Why a job cannot start even on an empty cluster; "" when it could."""
    if job["held"]:
        return str(job["reason"]) if job["reason"].startswith("JobHeld") else "JobHeldUser"
    if job["begin"] > now:
        return "BeginTime"
    if job["stuck"]:
        return str(job["stuck"])
    return dependency(job, jobs, store) if job["dependency"] else ""


def dependency(job: Job, jobs: list[Job], store: Store) -> str:
    """Dependency, DependencyNeverSatisfied, or "" when all (with `?`: one) are fulfilled."""
    fits_one = "?" in job["dependency"]
    answers = [fulfilled(part, job, jobs, store) for part in re.split("[,?]", job["dependency"]) if part]
    if any(answers) if fits_one else all(answer is True for answer in answers):
        return ""
    never = all(answer is False for answer in answers) if fits_one else any(answer is False for answer in answers)
    return NEVER if never else "Dependency"


def fulfilled(part: str, job: Job, jobs: list[Job], store: Store) -> bool | None:
    """True, False for never, None for not yet."""
    kind, _, ids = part.partition(":")
    if kind == "singleton":
        earlier = [other for other in jobs if (other["name"], other["user"]) == (job["name"], job["user"])]
        return True if all(other["key"] >= job["key"] or other["state"] in SETTLED for other in earlier) else None
    answers: list[bool | None] = []
    for word in ids.split(":"):
        number, _, index = word.partition("+")[0].partition("_")
        others = store.named(int(number))
        if kind == "aftercorr" and job["task"] is not None:
            index = str(job["task"])
        if index not in ("", "*"):
            others = [other for other in others if other["task"] == int(index)]
        answers += [answered(kind, other) for other in others]  # a job that is gone is no obstacle
    if any(answer is False for answer in answers):
        return False
    return True if all(answers) else None


def answered(kind: str, other: Job) -> bool | None:
    """Whether one job that was waited for ended as it should."""
    if kind == "after":
        return True if other["start"] or other["state"] in SETTLED else None
    if other["state"] not in SETTLED or other["completing"]:
        return None
    good = other["state"] == "COMPLETED"
    return True if kind == "afterany" else good if kind in ("afterok", "aftercorr") else not good


def allot(job: Job, where: list[tuple[str, int]], config: Mapping[str, Any]) -> None:
    """Give a job its nodes."""
    job["nodes"] = [name for name, _ in where]
    job["tasks_on"] = [tasks for _, tasks in where]
    whole = [config["nodes"][name]["cpus"] for name in job["nodes"]]
    asked = [tasks * job["cpus_per_task"] for tasks in job["tasks_on"]]
    job["cpus_on"] = whole if job["exclusive"] else asked
    pairs = zip(job["nodes"], job["cpus_on"], strict=True)
    job["memory_on"] = [memory_on(job, cpus, config, config["nodes"][name]) for name, cpus in pairs]


def preemptable(job: Job, running: list[Job], config: Mapping[str, Any]) -> list[Job]:
    """The jobs of lower partitions that have to go so that this one can start; none if that would not help."""
    tier = config["partitions"][job["partition"]]["tier"]
    lower = [
        other
        for other in running
        if config["partitions"][other["partition"]]["tier"] < tier
        and config["partitions"][other["partition"]]["preempt"]
    ]
    victims: list[Job] = []
    for victim in sorted(lower, key=lambda other: -other["key"]):
        victims.append(victim)
        rest = [other for other in running if all(other is not gone for gone in victims)]
        if place(job, config, used(rest)) is not None:
            return [found for found in victims if not found["ending"]]
    return []
