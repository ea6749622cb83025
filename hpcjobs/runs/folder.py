"""The run folder: the one place that knows its paths and what its small files hold."""

import json
import os
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError
from hpcjobs.runs.index import remember


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
            raise RunFolderError(
                f"{self.path}: not a run folder (no settings.json in it); `hpcjobs run JOB --out {self.path}` makes one"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
            raise RunFolderError(f"{self.settings}: damaged: {error}; restore it, or start a new run") from None

    def read_outcome(self) -> dict[str, Any]:
        """How the last attempt ended; empty when none has, or when the file is damaged."""
        try:
            told: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(self.outcome.read_bytes(), type=Outcome))
            return told
        except (msgspec.DecodeError, UnicodeDecodeError, OSError):
            return {}

    def newest_step(self) -> int:
        """The step of the newest checkpoint, by its name; 0 without one."""
        return max((int(path.stem[5:]) for path in self.checkpoints.glob("step-*.h5")), default=0)


class Wish(msgspec.Struct, frozen=True):
    """What `settings.json` holds."""

    job: str
    settings: dict[str, Any]
    run_uuid: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt, as `outcome.json` and the lease tell of it."""

    id: str
    ranks: int = 0
    nodes: int = 0
    started: str = ""
    first_step: int = 0
    last_step: int = 0
    reason: str = ""
    ended: str = ""
    job_id: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """What `outcome.json` holds."""

    state: str
    exit_code: int
    reason: str
    ended: str
    digest: str
    attempts: list[Attempt]


def create(path: Path | None, job: str, settings: dict[str, Any]) -> RunFolder:
    """Make the folder of a new run, private to its user, and remember it for `last`."""
    made = (path or default_path(job)).absolute()
    try:
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = RunFolder(made)
        draft = made / f".settings.json.{secrets.token_hex(4)}.tmp"
        draft.write_text(_as_text({"job": job, "settings": settings, "run_uuid": str(uuid.uuid4())}))
        try:
            os.link(draft, folder.settings)  # fails if another command has made the same folder meanwhile
        finally:
            draft.unlink()
    except FileExistsError:
        raise RunFolderError(f"{made}: another command has just made it; name another folder with --out") from None
    except OSError as error:
        raise RunFolderError(
            f"{made}: the run folder cannot be made: {error.strerror}; choose another with --out"
        ) from None
    remember(made)
    return folder


def is_blank(path: Path) -> bool:
    """Whether a folder holds nothing but what a start that was killed may have left."""
    return path.is_dir() and all(entry.name.endswith(".tmp") or entry.name == "checkpoints" for entry in path.iterdir())


def update(folder: RunFolder, settings: dict[str, Any]) -> None:
    """Put other settings in force; whoever calls has checked that they may differ."""
    wish = folder.read_settings()
    if wish["settings"] != settings:
        publish_bytes(folder.settings, _as_text(wish | {"settings": settings}).encode())


def _as_text(wish: dict[str, Any]) -> str:
    return json.dumps(wish, indent=2, sort_keys=True) + "\n"


def default_path(job: str) -> Path:
    """`./runs/<job>-<UTC time>-<4 hex>`, or the same under `$HPCJOBS_RUNS`."""
    base = Path(os.environ.get("HPCJOBS_RUNS", "runs"))
    label = Path(job.rpartition(":")[2]).stem  # of /home/me/file.py:Name the Name
    return base / f"{label}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


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
