"""The index of runs: a link to each, so that `last` and the beginning of a name work from anywhere."""

import hashlib
import os
from pathlib import Path

from hpcjobs.errors import RunFolderError, nearest
from hpcjobs.runs.process import home

NAMED = 5


def find(name: str) -> Path:
    """The folder of a run named by path, by `last`, by its name or by a unique beginning of it."""
    path = Path(name)
    if path.is_dir():
        return path.absolute()
    links = _links()
    if name == "last" and links:
        return links[-1].resolve()
    fitting = [link for link in links if link.name == name] or [link for link in links if link.name.startswith(name)]
    if len(fitting) == 1:
        return fitting[0].resolve()
    if fitting:
        some = ", ".join(link.name for link in fitting[:NAMED])
        raise RunFolderError(f"{name!r} begins the names of {len(fitting)} runs: {some}")
    hint = nearest(name, [link.name for link in links[-NAMED:]]) if links else "no run has been made yet"
    raise RunFolderError(f"{name}: no such run folder, and no run of that name; {hint}")


def remember(run: Path) -> None:
    """Make a run the last one. A home that cannot be written is no matter."""
    index = _index()
    if index is None:
        return
    try:
        index.mkdir(parents=True, exist_ok=True)
        link = index / run.name
        if link.is_symlink() and link.readlink() != run and link.is_dir():  # a namesake elsewhere
            link = index / f"{run.name}~{hashlib.sha256(os.fsencode(run)).hexdigest()[:4]}"
        link.unlink(missing_ok=True)
        link.symlink_to(run)
    except OSError:
        return


def _links() -> list[Path]:
    """Links to the runs that are still there, the newest last."""
    index = _index()
    if index is None or not index.is_dir():
        return []
    links = [link for link in index.iterdir() if link.is_dir()]
    return sorted(links, key=lambda link: link.lstat().st_mtime_ns)


def _index() -> Path | None:
    base = os.environ.get("XDG_STATE_HOME")
    user = home()
    if not base and user is None:
        return None
    return (Path(base) if base else user / ".local" / "state" if user else Path()) / "hpcjobs" / "runs"
