"""The user's own code of a job, copied into the run folder: what was submitted is what runs."""

import hashlib
import importlib.util
import sys
from pathlib import Path

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import SettingsError

Sources = dict[Path, bytes]  # by their place below code/


def sources(job: str) -> Sources:
    """The files of `./file.py:Name`, or of the package of `package.module:Name`; none of an installed job."""
    if ".py" in job:
        path = Path(job.partition(".py")[0] + ".py")
        return {Path(path.name): path.read_bytes()}
    if ":" not in job:
        return {}
    top = job.partition(":")[0].partition(".")[0]
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise SettingsError(f"{job}: no package {top!r} on the path of this Python, nor in {Path.cwd()}")
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return {Path(origin.name): origin.read_bytes()}
    return {
        path.relative_to(origin.parent.parent): path.read_bytes()
        for path in sorted(origin.parent.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def digest(files: Sources) -> str:
    """SHA-256 over names and contents; "" of none."""
    if not files:
        return ""
    found = hashlib.sha256()
    for name, content in sorted(files.items()):
        found.update(f"{name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def keep(files: Sources, folder: Path) -> None:
    """Publish the files below the `code` folder of a run."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(folder / name, content)
