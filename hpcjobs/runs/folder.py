"""The run folder: the one place that knows its paths and what its small files hold."""

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError, UserError
from hpcjobs.runs import sweeps
from hpcjobs.runs.code import split
from hpcjobs.runs.records import Cancelled, Outcome, Reached, Wish


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def lease(self) -> Path:
        return self.path / "lease"

    @property
    def progress(self) -> Path:
        return self.path / "progress.json"

    @property
    def cancelled(self) -> Path:
        return self.path / "cancelled"

    @property
    def script(self) -> Path:
        return self.path / "job.sbatch"

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def live(self) -> Path:
        return self.path / "live.h5"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def result(self) -> Path:
        return self.path / "result.h5"

    @property
    def outcome(self) -> Path:
        return self.path / "outcome.json"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:012d}.h5"

    def read_settings(self) -> dict[str, Any]:
        """What was asked for: job, settings, run_uuid."""
        try:
            wish: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(self.settings.read_bytes(), type=Wish))
            return wish
        except FileNotFoundError:
            if (self.path / sweeps.FILE).exists():
                raise RunFolderError(
                    f"{self.path}: is a sweep: hpcjobs status {self.path} tells of its tasks; name one of them, "
                    "such as its folder task-00000"
                ) from None
            raise RunFolderError(
                f"{self.path}: not a run folder (no settings.json in it); `hpcjobs run JOB --out {self.path}` makes one"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
            raise RunFolderError(f"{self.settings}: damaged: {error}; restore it, or start a new run") from None

    def read_outcome(self) -> dict[str, Any]:
        """How the last attempt ended; empty when none has, or when the file is damaged."""
        return _read(self.outcome, Outcome)

    def read_progress(self) -> dict[str, Any]:
        """How far the newest attempt has come; empty when nobody has told."""
        return _read(self.progress, Reached)

    def record_progress(self, reached: dict[str, str | float]) -> None:
        """Tell those who watch from elsewhere how far the run is; a full disk is no reason to stop."""
        told = reached | {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        with contextlib.suppress(UserError):
            publish_bytes(self.progress, json.dumps(told).encode() + b"\n", durable=False)

    def cancelled_jobs(self) -> list[str]:
        """The Slurm jobs of this run that were cancelled through hpcjobs."""
        jobs: list[str] = _read(self.cancelled, Cancelled).get("jobs", [])
        return jobs

    def job(self) -> str:
        """The name under which the job is loaded: the user's own code from its copy in this folder."""
        wish = self.read_settings()
        name: str = wish["job"]
        file, attribute = split(name)
        if file is None or not wish["code"]:
            return name
        return f"{self.code / file.name}{':' if attribute else ''}{attribute}"

    def newest_step(self) -> int:
        """The step of the newest checkpoint, by its name; 0 without one."""
        return max((int(path.stem[5:]) for path in self.checkpoints.glob("step-*.h5")), default=0)


def settings_of(folder: RunFolder, declared: type[msgspec.Struct]) -> Any:
    """The settings in force, checked again: another version of hpcjobs, or a hand, may have written them."""
    values = folder.read_settings()["settings"]
    unknown = sorted(set(values) - {field.name for field in msgspec.structs.fields(declared)})
    if unknown:
        raise RunFolderError(
            f"{folder.settings}: has {', '.join(unknown)}, which this hpcjobs does not know: "
            "a newer version made it; run it with that one"
        )
    try:
        return msgspec.convert(values, declared)
    except msgspec.ValidationError as error:
        raise RunFolderError(f"{folder.settings}: damaged: {error}; restore it, or start a new run") from None


def _read(path: Path, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A small file as plain values, defaults filled in; empty when it is not there or damaged."""
    try:
        found: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(path.read_bytes(), type=kind))
        return found
    except (msgspec.DecodeError, UnicodeDecodeError, OSError):
        return {}
