"""The run folder: the one place that knows its paths, and how a run is named and found."""

import json
import os
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError, nearest


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
            return dict(json.loads(self.settings.read_text()))
        except FileNotFoundError:
            raise RunFolderError(
                f"{self.path}: not a run folder (no settings.json in it); `hpcjobs run JOB --out {self.path}` makes one"
            ) from None
        except (ValueError, OSError) as error:
            raise RunFolderError(f"{self.settings}: cannot be read: {error}") from None

    def read_outcome(self) -> dict[str, Any]:
        """How the last attempt ended; empty when none has."""
        try:
            return dict(json.loads(self.outcome.read_text()))
        except (FileNotFoundError, ValueError):
            return {}


def create(path: Path | None, job: str, settings: dict[str, Any]) -> RunFolder:
    """Make the folder of a new run, private to its user, and remember it for `last`."""
    made = (path or default_path(job)).absolute()
    try:
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
        (made / "checkpoints").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise RunFolderError(
            f"{made}: the run folder cannot be made: {error.strerror}; choose another with --out"
        ) from None
    folder = RunFolder(made)
    _write_settings(folder, {"job": job, "settings": settings, "run_uuid": str(uuid.uuid4())})
    _remember(folder)
    return folder


def update(folder: RunFolder, settings: dict[str, Any]) -> None:
    """Put other settings in force; whoever calls has checked that they may differ."""
    wish = folder.read_settings()
    if wish["settings"] != settings:
        _write_settings(folder, wish | {"settings": settings})


def _write_settings(folder: RunFolder, wish: dict[str, Any]) -> None:
    publish_bytes(folder.settings, (json.dumps(wish, indent=2, sort_keys=True) + "\n").encode())


def default_path(job: str) -> Path:
    """`./runs/<job>-<UTC time>-<4 hex>`, or the same under `$HPCJOBS_RUNS`."""
    base = Path(os.environ.get("HPCJOBS_RUNS", "runs"))
    label = Path(job.rpartition(":")[2]).stem  # of /home/me/file.py:Name the Name
    return base / f"{label}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def find(name: str) -> RunFolder:
    """A run by folder, by `last`, or by a unique beginning of its name."""
    path = Path(name)
    if path.is_dir():
        return RunFolder(path.absolute())
    known = sorted(_index().glob("*"), key=lambda link: link.lstat().st_mtime_ns) if _index().is_dir() else []
    known = [link for link in known if link.is_dir()]
    if name == "last" and known:
        return RunFolder(known[-1].resolve())
    fitting = [link for link in known if link.name.startswith(name)]
    if len(fitting) == 1:
        return RunFolder(fitting[0].resolve())
    if fitting:
        raise RunFolderError(
            f"{name!r} begins the names of {len(fitting)} runs: {', '.join(f.name for f in fitting[:5])}"
        )
    hint = nearest(name, [link.name for link in known]) if known else "no run has been made yet"
    raise RunFolderError(f"{name}: no such run folder, and no run of that name; {hint}")


def _index() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hpcjobs" / "runs"


def _remember(folder: RunFolder) -> None:
    """Keep a link to the run, so that it can be named from anywhere; a home that cannot be written is no matter."""
    link = _index() / folder.path.name
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder.path)
    except OSError:
        return
