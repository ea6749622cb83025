"""How jobs end: on their own, at a limit, by a cancel, by a broken node; and how some begin again."""

import os
import resource
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcjobs.testing.fake import processes
from hpcjobs.testing.fake.starting import tell
from hpcjobs.testing.fake.store import Job
from hpcjobs.testing.fake.units import day, memory

WORDS = {
    "timeout": " DUE TO TIME LIMIT", "preempt": " DUE TO PREEMPTION", "preempt-cancel": " DUE TO PREEMPTION",
    "node": " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS", "requeue": " DUE TO JOB REQUEUE",
}  # fmt: skip
STATES = {
    "cancel": "CANCELLED", "timeout": "TIMEOUT", "oom": "OUT_OF_MEMORY", "node": "NODE_FAIL",
    "preempt": "PREEMPTED", "preempt-cancel": "PREEMPTED", "requeue": "REQUEUED",
}  # fmt: skip
AGAIN = ("requeue", "node", "preempt")  # a job that may be requeued waits again after these
ATTEMPT = (
    "state", "reason", "start", "end", "exit_code", "exit_signal", "nodes", "cpus_on", "tasks_on", "memory_on", "steps",
    "usage", "ended_by", "ending", "eligible",
)  # fmt: skip


def begin_end(job: Job, cause: str, config: Mapping[str, Any], folder: Path) -> None:
    """A running job has to end: ask its processes first, unless they have no time for it."""
    if job["ending"]:
        return
    now = time.time()
    job["ending"], job["completing"] = cause, True
    job["state"] = STATES[cause]
    job["end"] = now
    if cause in ("oom", "node"):
        if cause == "oom":
            name = f"{job['id']}.{'0' if any(step['state'] == 'RUNNING' for step in job['steps']) else 'batch'}"
            tell(job, f"Detected 1 oom_kill event in StepId={name}. Some of the step tasks have been OOM Killed.")
        else:
            tell(job, f"*** JOB {job['id']} ON {job['nodes'][0]} CANCELLED AT {day(now)}{WORDS[cause]} ***")
        job["kill_at"] = now
        processes.kill(job, folder)
        return
    tell(job, f"*** JOB {job['id']} ON {job['nodes'][0]} CANCELLED AT {day(now)}{WORDS.get(cause, '')} ***")
    job["kill_at"] = now + config["kill_wait"]
    processes.terminate(job)


def end(job: Job, status: int, usage: "resource.struct_rusage | None", config: Mapping[str, Any], folder: Path) -> None:
    """The batch script is over: settle the job, or put it back into the queue."""
    processes.kill(job, folder)  # what the script left running
    now = time.time()
    code, killer = (0, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), 0)
    cause = job["ending"]
    if not cause and any(request["what"] == "requeue" for request in job["requests"]):
        cause = "requeue"  # asked for by the script itself, which was quicker than the controller
    job["exit_code"], job["exit_signal"] = code, killer
    job["usage"] = measured(job, usage)
    if cause:
        job["state"] = STATES[cause]
        if cause == "oom":
            job["exit_code"], job["exit_signal"] = 0, 125
            peaked(job)
        job["reason"] = {"timeout": "TimeLimit", "oom": "OutOfMemory", "node": "NodeDown"}.get(cause, "None")
        if cause == "timeout":
            job["exit_code"], job["exit_signal"] = 0, 1
    else:
        job["state"] = "FAILED" if code or killer else "COMPLETED"
        job["reason"] = ("RaisedSignal" if killer else "NonZeroExitCode") if code or killer else "None"
        if killer:
            job["reason"] = f"RaisedSignal:{killer}({signal.Signals(killer).name})"
        job["end"] = now
    for step in job["steps"]:
        if step["state"] == "RUNNING":  # srun was killed and could not say it
            step |= {"state": STATES.get(cause, "CANCELLED"), "end": now, "exit_signal": step["exit_signal"] or 9}
    job["end"] = job["end"] or now
    job["completing"], job["pid"], job["kill_at"] = False, 0, None
    if cause in AGAIN and (job["requeue"] or cause == "requeue"):
        again(job, config)


def again(job: Job, config: Mapping[str, Any]) -> None:
    """Back into the queue, under the same number."""
    now = time.time()
    job["history"].append({name: job[name] for name in ATTEMPT})
    job |= {
        "state": "PENDING", "reason": "BeginTime", "restarts": job["restarts"] + 1, "start": None, "end": None,
        "begin": now + config["requeue_delay"], "eligible": now + config["requeue_delay"], "steps": [], "pid": 0,
        "ending": "", "ended_by": None, "kill_at": None, "signalled": False, "requests": [], "completing": False,
        "exit_code": 0, "exit_signal": 0, "nodes": [], "cpus_on": [], "tasks_on": [], "memory_on": [], "usage": {},
        "preempt_time": None,
    }  # fmt: skip


def measured(job: Job, usage: "resource.struct_rusage | None") -> dict[str, float]:
    """Memory (KiB) and CPU seconds of the batch step: what the script used beside its steps."""
    if usage is None:
        return {"rss": 0, "user": 0.0, "system": 0.0}
    inside = [step["usage"] for step in job["steps"]]
    own = job["shell_rss"] if inside else usage.ru_maxrss
    return {
        "rss": own,
        "user": max(usage.ru_utime - sum(step.get("user", 0) for step in inside), 0.0),
        "system": max(usage.ru_stime - sum(step.get("system", 0) for step in inside), 0.0),
    }


def peaked(job: Job) -> None:
    """After running out of memory, the step that did shows more than was asked for."""
    asked_kib = sum(job["memory_on"]) * 1024 / max(len(job["nodes"]), 1)
    hit = next((step for step in job["steps"] if step["state"] == "RUNNING"), None)
    if hit is not None:
        hit |= {"state": "OUT_OF_MEMORY", "exit_code": 0, "exit_signal": 125, "end": time.time()}
        hit["usage"] = {**hit["usage"], "rss": int(asked_kib * 1.01)}
    else:
        job["usage"]["rss"] = int(asked_kib * 1.01)


def requested_memory(job: Job) -> str:
    """ReqMem as sacct shows it since 21.08: of the whole job."""
    return memory(sum(job["memory_on"])) if job["memory_on"] else ""
