"""`hpcjobs data import` as a run: for tables that are better read on a node than on a login node."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from hpcjobs.data.importing import ImportReport, import_table
from hpcjobs.data.schema import Variable, text
from hpcjobs.data.table import ImportOptions, refuse_existing
from hpcjobs.errors import SettingsError
from hpcjobs.parallel.communicator import on_root
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs data import` was told."""

    source: Annotated[str, setting("table to read")]
    file: Annotated[str, setting("file to write", kind="data")]
    options: dict[str, Any] = {}


def options_of(settings: Settings) -> ImportOptions:
    """The options of the import, checked."""
    options = msgspec.convert(settings.options, ImportOptions)
    options.check()
    return options


def check(settings: Settings) -> None:
    """Refuse before the queue a table that is not there, and a file that is."""
    named = Path(settings.source.partition(":/")[0])
    if not named.exists():
        raise SettingsError(f"{named}: no such file")
    refuse_existing(Path(settings.file), options_of(settings).force)


def run(settings: Settings, context: Context) -> str:
    """Import on rank 0, the others wait; the result tells what the data set holds."""
    # What lies there now is of an earlier attempt: what was there before was refused, or given up, at the start.
    options = dataclasses.replace(options_of(settings), force=True)
    report: ImportReport = on_root(
        context.communicator, lambda: import_table(settings.source, Path(settings.file), options)
    )
    return context.publish_result(
        str(report),
        {
            "/result/rows": Variable((), np.array(report.rows), "rows of the data set"),
            "/result/columns": Variable((), np.array(report.columns), "features of the data set"),
            "/result/skipped": Variable((), np.array(report.skipped), "bad rows left out"),
            "/result/file_digest": Variable((), text(report.digest), "file digest of the data set"),
        },
    )
