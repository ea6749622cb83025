"""The user's own code of a job: how it is named, and its copy in the run folder, so that what was submitted runs."""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import SettingsError

Sources = dict[Path, bytes]  # by their place below code/

FILE = re.compile(r"(.+\.py)(?::([^\W\d]\w*))?", re.DOTALL)
# What editors, version control and Python leave beside the files of a package; hidden files are all left behind.
LEFT_BEHIND = re.compile(r"\..*|__pycache__|CVS|.*\.pyc|.*~|#.*#", re.DOTALL)
MOST_MIB = 64


def split(job: str) -> tuple[Path | None, str]:
    """The file of `./file.py` or `./file.py:Name`, None for a job of any other name; and what stands behind the `:`."""
    match = FILE.fullmatch(job)
    return (Path(match[1]), match[2] or "") if match else (None, job.partition(":")[2])


def sources(job: str) -> Sources:
    """The file of `./file.py:Name`, or the files of the package of `package.module:Name`; none of an installed job."""
    file, _ = split(job)
    if file is not None:
        return _read(job, file.parent, [file])
    if ":" not in job:
        return {}
    top, _, rest = job.partition(":")[0].partition(".")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise SettingsError(f"{job}: no package {top!r} on the path of this Python, nor in {Path.cwd()}")
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    if folders:  # several of a package without an __init__.py: the one that has the module
        part = rest.partition(".")[0]
        holding = (one for one in folders if (one / part).is_dir() or (one / f"{part}.py").is_file())
        folder = next(holding, folders[0])
        return _read(job, folder.parent, _files(folder, frozenset()))
    origin = Path(spec.origin or "")
    return _read(job, origin.parent, [origin])


def all_sources(job: str, values: Mapping[str, Any]) -> Sources:
    """Those of a job and of every setting that names a file of Python, such as an environment of one's own."""
    found = sources(job)
    for value in values.values():
        if isinstance(value, str) and split(value)[0] is not None:
            for name, content in sources(value).items():
                if found.setdefault(name, content) != content:
                    raise SettingsError(f"{job} and {value}: two files of one name cannot both go into the run")
    return found


def copied(named: Path, folder: Path | None) -> Path:
    """The copy of a user's file in the `code` folder of a run if there is one, else the file itself."""
    copy = None if folder is None else folder / named.name
    return copy if copy is not None and copy.is_file() else named


def digest(files: Sources) -> str:
    """SHA-256 over names and contents; "" of none."""
    if not files:
        return ""
    found = hashlib.sha256()
    for name, content in sorted(files.items()):
        found.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        found.update(content)
    return found.hexdigest()


def keep(files: Sources, folder: Path) -> None:
    """Publish the files below the `code` folder of a run."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(folder / name, content)


def _files(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """Every file of a package, those behind links included; a link to a folder above ends there."""
    real = folder.resolve()
    if real in above:
        return
    for path in sorted(folder.iterdir()):
        if LEFT_BEHIND.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from _files(path, above | {real})
        elif path.is_file():
            yield path


def _read(job: str, base: Path, paths: Iterator[Path] | list[Path]) -> Sources:
    """The contents of some files, as long as they are not too many to be copied into every run."""
    found: Sources = {}
    left = MOST_MIB * 2**20
    try:
        for path in paths:
            left -= path.stat().st_size
            if left < 0:
                place = base / path.relative_to(base).parts[0]
                raise SettingsError(
                    f"{job}: its code is copied into the run, and the files of {place} are over {MOST_MIB} MiB; "
                    "keep data and results outside of it, or install it with an entry point under hpcjobs.jobs"
                )
            found[path.relative_to(base)] = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{job}: {error.filename}: cannot be copied into the run: {error.strerror}") from None
    return found
