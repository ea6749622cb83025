"""Making a run folder, private to its user unless it is shared, and putting other settings in force."""

import contextlib
import json
import os
import re
import secrets
import stat
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import remember
from hpcjobs.runs.records import Wish

LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}", re.ASCII)


def private(share: str = "") -> None:
    """From here on, what this process makes is for its user only, or for the user's group as well."""
    os.umask(0o027 if share == "group" else 0o077)


def label(text: str, flag: str) -> str:
    """A name or tag that file systems, Slurm and shells all take; SettingsError otherwise."""
    if not LABEL.fullmatch(text):
        raise SettingsError(f"{flag} is {text!r}: expected at most 40 letters, digits, _ . or -, no leading . or -")
    return text


def create(
    path: Path | None,
    job: str,
    settings: dict[str, Any],
    *,
    name: str = "",
    tags: Sequence[str] = (),
    share: str = "",
    code: str = "",
    listed: bool = True,
) -> RunFolder:
    """Make the folder of a new run, links in its path resolved.

    `listed` runs are found by `last` and by the beginning of their name; a task of a sweep is found by its sweep.
    """
    asked = (path or default_path(name or job)).absolute()
    made = resolved(asked)
    wish = Wish(job, settings, str(uuid.uuid4()), name, list(tags), share, code)
    try:
        _refuse_traps(asked)
        _make(made if listed else made.parent, share)
        _make(made, share)
        _refuse_traps(made)  # made by somebody else meanwhile
        folder = RunFolder(made)
        draft = made / f".settings.json.{secrets.token_hex(4)}.tmp"
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640), "w") as file:  # noqa: PTH123 (O_EXCL)
            file.write(_as_text(msgspec.to_builtins(wish)))
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
    if listed:
        remember(made)
    return folder


def resolved(path: Path) -> Path:
    """The one path of a run folder, absolute and free of links, under which the index and every handle know it."""
    try:
        return path.resolve()
    except RuntimeError:
        raise RunFolderError(f"{path}: its links lead in a circle; name another folder with --out") from None


def _make(folder: Path, share: str) -> None:
    """Make a folder. What must be made above it can be passed through by all, to runs that are shared; not listed."""
    for path in reversed(folder.parents):
        if path.exists():
            continue
        with contextlib.suppress(FileExistsError, PermissionError):  # another's by now; a disk without modes
            path.mkdir()
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o066 | 0o711)  # a set-group-id bit stays
    folder.mkdir(exist_ok=True, mode=0o750 if share == "group" else 0o700)


def _refuse_traps(made: Path) -> None:
    """Refuse a folder that somebody else owns, or that is reached through a link of theirs, as in /tmp."""
    for path in (made, *made.parents):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        trap = path == made or (stat.S_ISLNK(status.st_mode) and path.parent.stat().st_mode & stat.S_IWOTH)
        if trap and status.st_uid not in (os.getuid(), 0):
            raise RunFolderError(f"{path}: belongs to another user; choose another folder with --out")


def is_blank(path: Path) -> bool:
    """Whether a folder holds nothing but what a start that was killed may have left."""
    return path.is_dir() and all(entry.name.endswith(".tmp") or entry.name == "checkpoints" for entry in path.iterdir())


def update(folder: RunFolder, **changed: Any) -> None:
    """Put other `settings` in force, or other `code`; whoever calls has checked that they may differ."""
    wish = folder.read_settings()
    if wish != wish | changed:
        publish_bytes(folder.settings, _as_text(wish | changed).encode())


def _as_text(wish: dict[str, Any]) -> str:
    return json.dumps(wish, indent=2, sort_keys=True) + "\n"


def usual_folder() -> Path:
    """Where runs lie unless they are told: `$HPCJOBS_RUNS`, else `./runs`."""
    return Path(os.environ.get("HPCJOBS_RUNS", "runs"))


def default_path(job: str) -> Path:
    """`<job>-<UTC time>-<4 hex>` in the usual folder."""
    return usual_folder() / f"{label_of(job)}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def label_of(job: str) -> str:
    """What a job is called in names of folders and of Slurm's jobs: of /home/me/file.py:Name the Name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", Path(job.rpartition(":")[2]).stem, flags=re.ASCII)[:40] or "run"
