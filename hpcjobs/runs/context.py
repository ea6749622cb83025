"""What a job is handed: ranks, folder, history, checkpoints, stop and progress."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from hpcjobs.data.schema import Contents, Variable
from hpcjobs.data.source import Source
from hpcjobs.data.writing import write_file
from hpcjobs.errors import RunFolderError
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.runs import checkpoint, numerics, outcome
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.history import History
from hpcjobs.runs.lease import Lease
from hpcjobs.runs.progress import Progress
from hpcjobs.runs.provenance import fingerprint, provenance
from hpcjobs.runs.stopping import Stop, agree
from hpcjobs.runs.timing import Timing
from hpcjobs.settings import differences

LIVE_EVERY_S = 10.0
# The state to save; or what gathers it from all ranks, called by all of them and only when it is wanted.
Saveable = Mapping[str, NDArray[Any]] | Callable[[], Mapping[str, NDArray[Any]]]


class Stopped(Exception):  # noqa: N818 (not an error: the run ends at a checkpoint, with exit code 75)
    """All ranks have agreed to stop, and a checkpoint holds what was done; the argument is the signal that asked."""


class Context:
    """One attempt at a run, as its job sees it. Every method is collective unless it says otherwise."""

    def __init__(
        self,
        wish: Mapping[str, Any],
        declared: type[msgspec.Struct],
        folder: RunFolder,
        communicator: Communicator,
        lease: Lease,
        stop: Stop,
        census: Sequence[Mapping[str, Any]],
        attempts: Sequence[dict[str, Any]],
    ) -> None:
        self.communicator = communicator
        self.progress = Progress(wish["name"] or wish["job"], communicator.rank == 0, folder.record_progress)
        self.history = History()
        self.timing = Timing()
        self._wish = wish
        self._declared = declared
        self._folder = folder
        self._lease = lease
        self._stop = stop
        self._census = census
        self._attempts = attempts
        self._inputs: list[dict[str, Any]] = []
        self._recorded_inputs: dict[str, Any] = {}
        self._in_sweep = "SLURM_ARRAY_TASK_ID" in os.environ  # a thousand live files would help nobody
        self._every_steps = 0
        self._every_s = 0.0
        self._saved_at = self._lived_at = time.monotonic()

    @property
    def code(self) -> Path:
        """Where the copy of the user's own code lies, if there is one. Not collective."""
        return self._folder.code

    def resume(self, every_steps: int, every_s: float, *, same_numerics: bool = False) -> tuple[int, checkpoint.State]:
        """Steps done and state of the newest whole checkpoint, (0, {}) if there is none.

        A checkpoint will be due every `every_steps` steps (0: not by steps) or `every_s` seconds (0: not by time).
        `same_numerics` refuses to go on, or to begin, where floating-point bits would mix those of two machines.
        """
        self._every_steps, self._every_s = every_steps, every_s
        here = fingerprint(self._census)
        if same_numerics:
            numerics.refuse_mixed(here)
        path, warnings = on_root(self.communicator, lambda: checkpoint.newest(self._folder))
        for warning in warnings:
            self.progress.say(warning)
        if path is None:
            return 0, {}
        saved = on_root(self.communicator, lambda: checkpoint.load(path))
        other = differences(saved.settings, self._wish["settings"], self._declared)
        if saved.run_uuid != self._wish["run_uuid"]:
            other = [f"it is of run {saved.run_uuid}, this one is {self._wish['run_uuid']}"]
        if other:
            raise RunFolderError(
                f"{path}: does not belong to this run: {'; '.join(other)}; remove it, or start a new run"
            )
        if same_numerics:
            numerics.refuse_other(path, saved.numerics, here)
        self.history, self._recorded_inputs = saved.history, saved.inputs
        self._attempts[-1]["first_step"] = self._attempts[-1]["last_step"] = saved.step
        self.progress.say(f"resuming after step {saved.step}")
        return saved.step, saved.state

    def use_input(self, source: Source, digest: str) -> None:
        """Record what a run reads, and refuse to continue on other data than it began with."""
        number, name = len(self._inputs), str(source)
        facts = {"rows": source.rows, "size": source.size, "modified": source.modified}
        self._inputs.append({"name": name, "digest": digest} | facts)
        recorded = self._recorded_inputs.get("digest")
        if recorded is not None and number < len(recorded) and recorded[number].decode().strip() != digest:
            raise RunFolderError(
                f"{name} has changed since this run began: its digest is {digest[:16]}..., the checkpoint in "
                f"{self._folder.path} was made from {recorded[number].decode()[:16]}...; "
                "bring the old data back, or start a new run"
            )

    def step_done(self, step: int, state: Saveable) -> None:
        """To be called after each step: saves when due, shows when due; raises Stopped when a rank was told to stop."""
        now = time.monotonic()
        first = self.communicator.rank == 0
        stop, due, live = agree(
            self.communicator,
            self._stop.requested,
            first and self._every_s > 0 and now - self._saved_at >= self._every_s,
            first and not self._in_sweep and now - self._lived_at >= LIVE_EVERY_S,
        )
        self._attempts[-1]["last_step"] = step
        if stop or due or (self._every_steps > 0 and step % self._every_steps == 0):
            self.save(step, state)
        elif live:
            self._write(self._contents("live", step, state), self._folder.live, durable=False)
            self._lived_at = time.monotonic()
        if stop:
            raise Stopped(stop)

    def save(self, step: int, state: Saveable) -> None:
        """Publish a checkpoint; what was saved before stays until it is there."""
        content = self._contents("checkpoint", step, state)
        self._write(content, self._folder.checkpoint(step), durable=True)
        on_root(self.communicator, lambda: checkpoint.prune(self._folder))
        self._saved_at = self._lived_at = time.monotonic()

    def publish_result(self, title: str, variables: Mapping[str, Variable]) -> str:
        """Publish `result.h5` and return its result digest."""
        self._attempts[-1] |= {"ended": outcome.now(), "reason": "finished"}
        timing = self.timing.variables(self.communicator)
        everything = dict(variables) | self.history.variables() | self._provenance() | timing
        content = Contents("result", title, everything, self._wish["job"], self._wish["run_uuid"])
        return self._write(content, self._folder.result, durable=True)

    def _contents(self, kind: str, step: int, state: Saveable) -> Contents:
        whole = state() if callable(state) else state
        made = checkpoint.contents(
            self._wish["job"], self._wish["run_uuid"], step, whole, self.history, self._provenance()
        )
        return Contents(kind, made.title, made.variables, made.job, made.run_uuid, complete=kind != "live")

    def _provenance(self) -> dict[str, Variable]:
        return provenance(self._wish["settings"], self._census, self._inputs, self._attempts, self.communicator.library)

    def _write(self, content: Contents, path: Any, *, durable: bool) -> str:
        return write_file(path, content, self.communicator, durable=durable, before_rename=self._lease.check)
