"""The job whose model lies in a run folder or a result."""

from pathlib import Path
from typing import Any

from hpcjobs import jobs
from hpcjobs.errors import SettingsError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find
from hpcjobs.runs.model import find_result, read_model


def named(what: str) -> Path:
    """The run folder, or the file of a result, that a user's word means."""
    return Path(what).absolute() if Path(what).is_file() else find(what)


def job_of(path: Path) -> tuple[Any, Path]:
    """The job of a run folder or a result, and the file of the result.

    The code of a user's own job is run from its run folder only, as `resume` does.
    """
    file = find_result(path)
    name = read_model(file).job
    job = jobs.find(RunFolder(path).job(), RunFolder(path).code) if path.is_dir() else jobs.installed(name)
    if job is None:
        raise SettingsError(f"{file}: a result of {name}, which is not installed here; name the folder of the run")
    return job, file
