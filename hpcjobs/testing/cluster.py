"""The handle on a pretend cluster: make it, look into it, break it, end it."""

import contextlib
import json
import os
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from hpcjobs.errors import LaunchError, nearest
from hpcjobs.testing.fake import processes, wake
from hpcjobs.testing.fake.machine import DEFAULTS
from hpcjobs.testing.fake.scheduling import holds
from hpcjobs.testing.fake.store import FOLDER, Job, Store

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun")
SCENARIOS = {
    "no_accounting": False, "accounting_lag": 0, "empty_answers": 0, "empty_squeue": 0, "empty_sacct": 0,
    "controller_down": 0, "timeout_after_accept": 0, "hang_after_accept": 0, "hang_seconds": 3600,
    "unknown_state": "", "banner": "", "banner_after": "", "sacct_fields": {}, "cluster_in_answer": False,
}  # fmt: skip
TROUBLES = {"oom": "oom", "node": "node", "time": "timeout", "preempt": "preempt", "preempt-cancel": "preempt-cancel"}
PASSED_ON = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SINFO_", "PMI_", "PMIX_", "HYDRA_")
LIMIT_S = 10


class FakeSlurm:
    """A pretend cluster in a folder; `config` says what differs from `hpcjobs.testing.fake.machine.DEFAULTS`.

    with FakeSlurm(folder, minute=2) as slurm:
        subprocess.run(["sbatch", "job.sh"], env=slurm.environment())
    """

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = Path(folder).absolute()
        self.bin = self.folder / "bin"
        self.state = self.folder / "state"
        wrong = [name for name in config if name not in DEFAULTS]
        if wrong:
            raise LaunchError(f"the pretend cluster has no setting {wrong[0]!r}; {nearest(wrong[0], DEFAULTS)}")
        self.bin.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        if "minute" not in config and os.environ.get("HPCJOBS_FAKE_MINUTE"):
            config["minute"] = float(os.environ["HPCJOBS_FAKE_MINUTE"])
        store = self.store()
        with store.change():
            store.set_fact("config", {**DEFAULTS, **store.config(), **config})
            # Whoever made the cluster dies first? Then its jobs go as well.
            store.set_fact("owner", [os.getpid(), wake.started(os.getpid())])
        store.connection.close()
        for command in COMMANDS:
            path = self.bin / command
            words = " ".join(shlex.quote(word) for word in wake.program(command))
            path.write_text(f'#!/bin/sh\nexport {FOLDER}={shlex.quote(str(self.state))}\nexec {words} "$@"\n')
            path.chmod(0o755)

    def __enter__(self) -> "FakeSlurm":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def store(self) -> Store:
        """The cluster's state, opened anew."""
        return Store(self.state)

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """An environment in which the commands are those of this cluster; `base` is ours by default."""
        given = os.environ if base is None else base
        clean = {name: value for name, value in given.items() if not name.startswith(PASSED_ON)}
        path = os.pathsep.join([str(self.bin), given.get("PATH", os.defpath)])
        return {**clean, "PATH": path, FOLDER: str(self.state)}

    def journal(self, command: str = "") -> list[dict[str, Any]]:
        """Every call so far (of one command): `time`, `argv` and, from inside a job, `job`."""
        path = self.state / "journal.jsonl"
        entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [entry for entry in entries if not command or entry["argv"][0] == command]

    def calls(self, command: str) -> list[list[str]]:
        """The arguments of every call of one command."""
        return [entry["argv"][1:] for entry in self.journal(command)]

    def scenario(self, **troubles: Any) -> None:
        """Switch troubles on, for ever (True) or for a number of calls, and off (0); see docs/testing.md."""
        wrong = [name for name in troubles if name not in SCENARIOS]
        if wrong:
            raise LaunchError(f"the pretend cluster knows no trouble {wrong[0]!r}; {nearest(wrong[0], SCENARIOS)}")
        store = self.store()
        with store.change():
            store.set_fact("scenario", {**store.fact("scenario", {}), **troubles})
            spent = store.fact("spent", {})
            store.set_fact("spent", {name: count for name, count in spent.items() if name not in troubles})
        store.connection.close()

    def configure(self, **config: Any) -> None:
        """Change settings of the cluster while it runs: down=["node2"], kill_wait=1 ..."""
        store = self.store()
        with store.change():
            store.set_fact("config", {**store.config(), **config})
        store.connection.close()

    def fail(self, job: int | str, trouble: str) -> None:
        """Break a running job: oom, node, time, preempt or preempt-cancel."""
        fail(self.store(), job, trouble)

    def jobs(self) -> list[Job]:
        """Every job there ever was, with all that the cluster knows of it."""
        store = self.store()
        found = store.jobs()
        store.connection.close()
        return found

    def stop(self) -> None:
        """End every job and the cluster; its folder stays to be looked at."""
        store = self.store()
        with store.change():
            running = store.fact("controller")
            if running and wake.alive(running):
                with contextlib.suppress(OSError):
                    os.kill(running[0], signal.SIGKILL)
            store.set_fact("controller", None)
            for job in store.live():
                if holds(job):
                    processes.kill(job, self.state)
                job |= {"state": "CANCELLED", "completing": False, "end": time.time()}
                store.save(job)
        store.connection.close()


def fail(store: Store, job: int | str, trouble: str) -> None:
    """Break a running job of a cluster, whoever made it."""
    if trouble not in TROUBLES:
        raise LaunchError(f"a job cannot be broken by {trouble!r}; {nearest(trouble, TROUBLES)}")
    from hpcjobs.testing.fake.shown import is_one_of, wanted_ids

    deadline = time.monotonic() + LIMIT_S
    with store.change():
        found = [one for one in store.live() if is_one_of(one, wanted_ids(str(job))) and one["state"] == "RUNNING"]
        for one in found:
            one["requests"].append({"what": TROUBLES[trouble]})
            store.save(one)
        wake.controller(store)
    if not found:
        raise LaunchError(f"job {job} does not run on the pretend cluster, so that nothing can break it")
    keys = [one["key"] for one in found]
    marks = ",".join("?" * len(keys))
    while any(one["requests"] for one in store.jobs(f"key IN ({marks})", keys)):
        if time.monotonic() > deadline:
            raise LaunchError(f"the pretend cluster does not answer; see {store.folder / 'controller.log'}")
        time.sleep(0.02)
