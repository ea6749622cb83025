"""From what the user has named to its page."""

from pathlib import Path

from hpcjobs.data.inspect import describe_file
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.report.dataset import of_dataset
from hpcjobs.report.page import Page
from hpcjobs.report.runs import of_file, of_run
from hpcjobs.report.sweep import of_sweep
from hpcjobs.runs import sweeps
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.story import KINDS


def build(path: Path, shape: str | None) -> Page:
    """The page of a run folder, a sweep folder, or a file of ours; `shape` is that of rows that are images."""
    if path.is_dir():
        plan = sweeps.read(path)
        if plan is not None:
            if shape is not None:
                raise SettingsError(f"--shape {shape!r}: the page of a sweep shows no images; name one of its tasks")
            return of_sweep(path, plan)
        return of_run(RunFolder(path), shape)
    described = describe_file(path)
    if described["kind"] in KINDS:
        return of_file(path, shape)
    if described["schema"] is None:
        raise DataError(
            f"{path}: another program wrote this file, so it tells neither of a run nor of a data set of ours; "
            f"`hpcjobs data inspect {path}` lists what it holds, `hpcjobs data import` makes it one of ours"
        )
    return of_dataset(path, described, shape)
