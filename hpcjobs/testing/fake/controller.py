"""The daemon of the pretend cluster: starts what can start, ends what must end, and goes when nothing is left to do."""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from hpcjobs.testing.fake import processes
from hpcjobs.testing.fake.ending import begin_end, end
from hpcjobs.testing.fake.scheduling import holds, schedule
from hpcjobs.testing.fake.starting import start
from hpcjobs.testing.fake.store import SETTLED, Job, Store
from hpcjobs.testing.fake.wake import alive

POLL_S = 0.03
LINGER_S = 2.0


def run(store: Store) -> int:
    """Serve until every job has ended, or until the owner of the cluster is gone."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # what the submitting shell ignored, jobs need not
    controller = Controller(store)
    with store.change():
        controller.adopt()
    idle_since = time.time()
    while True:
        if controller.awaited():
            with store.change():
                controller.step()
        if abandoned(store):
            controller.end_all()
            return 0
        if controller.jobs:
            idle_since = time.time()
        elif time.time() - idle_since > LINGER_S:
            with store.change():
                if not store.live():
                    store.set_fact("controller", None)
                    return 0
        time.sleep(POLL_S)


def abandoned(store: Store) -> bool:
    """Whether whoever made the cluster is gone, or its folder is."""
    owner = store.fact("owner") if (store.folder / "state.db").exists() else []
    return owner == [] or (owner is not None and not alive(owner))


class Controller:
    """What the daemon remembers between two looks at the state."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.config: dict[str, Any] = {}
        self.jobs: list[Job] = []
        self.scripts: dict[int, subprocess.Popen[bytes]] = {}
        self.seen = -1
        self.due = 0.0
        self.stirred = True

    def adopt(self) -> None:
        """Jobs that a controller before us ran, and that nobody can wait for any more."""
        self.config = self.store.config()
        for job in self.store.live():
            if holds(job) and not job["interactive"]:
                job["ending"] = "node"
                end(job, 9, None, self.config, self.store.folder)
                self.store.save(job)

    def awaited(self) -> bool:
        """Whether something has changed, a script has ended, or a clock has run down."""
        if self.stirred or time.time() >= self.due or self.store.version() != self.seen:
            return True
        return bool(self.scripts) and os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def step(self) -> None:
        """One look: ended scripts, requests, clocks, waiting jobs."""
        version = self.store.version()
        if version != self.seen or self.stirred:
            self.jobs, self.config, self.seen = self.store.live(), self.store.config(), version
        self.stirred = False
        now = time.time()
        self.reap()
        for job in self.jobs:
            if job["interactive"] and holds(job) and not job["requests"] and not alive(job["srun"]):
                job["requests"].append({"what": "finish", "status": 9})
            if holds(job) or job["requests"]:
                self.attend(job, now)
        if any(job["state"] == "PENDING" for job in self.jobs):
            for job, what in schedule(self.jobs, self.config, self.store):
                self.act(job, what)
        self.jobs = [job for job in self.jobs if job["state"] not in SETTLED or job["completing"]]
        self.due = min((moment for job in self.jobs for moment in clocks(job) if moment > now), default=now + 3600)

    def reap(self) -> None:
        """Take note of the scripts that have ended."""
        for job in self.jobs:
            process = self.scripts.get(job["key"])
            if process is None:
                continue
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = status  # reaped here, for the sake of its resource usage
                del self.scripts[job["key"]]
                self.settle(job, status, usage)

    def settle(self, job: Job, status: int, usage: "resource.struct_rusage | None") -> None:
        """A job's script is over."""
        end(job, status, usage, self.config, self.store.folder)
        self.store.save(job)
        self.stirred = True

    def attend(self, job: Job, now: float) -> None:
        """Do what was asked of a job, and what its clocks ask for."""
        requests, job["requests"] = job["requests"], []
        for request in requests:
            self.request(job, request)
        if holds(job) and job["state"] == "RUNNING":
            self.watch_limit(job, now)
        if job["kill_at"] and now >= job["kill_at"] and holds(job):
            job["kill_at"] = now + 0.2
            processes.kill(job, self.store.folder)
        if requests:
            self.store.save(job)
            self.stirred = True

    def request(self, job: Job, request: dict[str, Any]) -> None:
        """scancel, scontrol, or `fail` of the fixture."""
        what = request["what"]
        if what == "signal":
            if request["batch"] != "only":
                processes.signal_steps(job, request["number"])
            if request["batch"] or request.get("full"):
                processes.signal_batch(job, request["number"])
        elif what == "finish" and holds(job):
            self.settle(job, request["status"], None)
        elif holds(job):
            if what == "requeue" and job["ending"]:
                job["ending"] = "requeue"  # a cancelled job comes back to life, as it does in Slurm
            job["ended_by"] = request.get("uid", job["ended_by"])
            begin_end(job, what, self.config, self.store.folder)

    def watch_limit(self, job: Job, now: float) -> None:
        """The signal before the time limit, and the limit itself."""
        if job["preempt_time"] and now >= job["preempt_time"]:
            begin_end(job, "preempt", self.config, self.store.folder)
            self.store.save(job)
        if job["limit"] is None:
            return
        ends = job["start"] + job["limit"] * job["minute"]
        sign = job["signal"]
        if sign and not job["signalled"] and now >= ends - sign["lead"] * job["minute"] / 60:
            job["signalled"] = True
            (processes.signal_batch if sign["batch"] else processes.signal_steps)(job, sign["number"])
            self.store.save(job)
        if now >= ends:
            begin_end(job, "timeout", self.config, self.store.folder)
            self.store.save(job)

    def act(self, job: Job, what: str) -> None:
        """Carry out what the scheduler decided."""
        if what == "start":
            self.launch(job)
        elif what == "cancel":
            job |= {"state": "CANCELLED", "end": time.time()}
        elif what == "preempt":
            cancels = self.config["partitions"][job["partition"]]["preempt"] == "cancel" or not job["requeue"]
            if self.config["grace"] and not cancels:
                if not job["preempt_time"]:
                    job["preempt_time"] = time.time() + self.config["grace"] * job["minute"] / 60
                    processes.signal_steps(job, signal.SIGTERM)
            else:
                begin_end(job, "preempt-cancel" if cancels else "preempt", self.config, self.store.folder)
        self.store.save(job)

    def launch(self, job: Job) -> None:
        """Start a job on the nodes it got."""
        if job["task"] is not None and job["id"] == job["array_id"]:
            waiting = [other for other in self.store.named(job["array_id"]) if other["state"] == "PENDING"]
            if len(waiting) > 1:  # the last task keeps the number of its array
                job["id"] = self.store.next_id()
        job |= {"state": "RUNNING", "reason": "None", "start": time.time(), "end": None, "signalled": False}
        if job["interactive"]:
            return
        try:
            process = start(job, self.config, self.store.folder)
        except OSError as problem:
            print(f"job {job['id']}: {problem}", flush=True)
            job |= {"state": "FAILED", "reason": "JobLaunchFailure", "end": time.time(), "exit_signal": 53}
            self.stirred = True
            return
        job["pid"] = process.pid
        self.scripts[job["key"]] = process

    def end_all(self) -> None:
        """The cluster is given up: leave no process behind."""
        for job in self.jobs:
            if holds(job):
                processes.kill(job, self.store.folder)
        for process in self.scripts.values():
            with contextlib.suppress(OSError):
                process.returncode = os.waitpid(process.pid, 0)[1]


def clocks(job: Job) -> Iterator[float]:
    """The moments at which something is to be done about a job."""
    if job["state"] == "PENDING":
        yield job["begin"]
        return
    if job["kill_at"]:
        yield job["kill_at"]
    if job["interactive"]:
        yield time.time() + 0.5  # nobody tells us when its srun is killed
    if job["limit"] is not None and job["start"]:
        ends = job["start"] + job["limit"] * job["minute"]
        yield ends
        if job["signal"] and not job["signalled"]:
            yield ends - job["signal"]["lead"] * job["minute"] / 60
    if job["preempt_time"]:
        yield job["preempt_time"]
