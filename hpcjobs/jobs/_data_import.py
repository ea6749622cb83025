"""`hpcjobs data import` as a run: for tables that are better read on a node than on a login node."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from hpcjobs.data.importing import import_table
from hpcjobs.data.kinds import recognise, refuse_foreign_options
from hpcjobs.data.pseudonyms import read_key
from hpcjobs.data.schema import Variable, text
from hpcjobs.data.table import ImportOptions, refuse_existing
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
    options = options_of(settings)
    path, _, kind = recognise(settings.source)
    refuse_foreign_options(options, path, kind)
    refuse_existing(Path(settings.file), options.force)
    if options.key:
        read_key(Path(options.key))


def run(settings: Settings, context: Context) -> str:
    """Import on all ranks; the result tells what the data set holds."""
    # What lies there now is of an earlier attempt: what was there before was refused, or given up, at the start.
    options = dataclasses.replace(options_of(settings), force=True)
    report = import_table(settings.source, Path(settings.file), options, communicator=context.communicator)
    return context.publish_result(
        str(report),
        {
            "/result/rows": Variable((), np.array(report.rows), "rows of the data set"),
            "/result/columns": Variable((), np.array(report.columns), "values of each row"),
            "/result/skipped": Variable((), np.array(report.skipped), "bad rows left out"),
            "/result/file_digest": Variable((), text(report.digest), "file digest of the data set"),
        },
    )
