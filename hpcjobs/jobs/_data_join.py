"""`hpcjobs data join` as a run, on all of its ranks."""

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from hpcjobs.data import join
from hpcjobs.data.schema import Variable
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs data join` was told; `sources` are absolute."""

    sources: list[str]
    out: Annotated[str, setting("file to write", kind="data")]
    force: bool = False


def check(settings: Settings) -> None:
    """Refuse before the queue what cannot be done."""
    join.check(settings.sources, Path(settings.out), settings.force)


def run(settings: Settings, context: Context) -> str:
    """Join the rows; the result tells how many there are."""
    # What lies there now is of an earlier attempt: check() has asked about anything else.
    report = join.join(settings.sources, Path(settings.out), communicator=context.communicator, force=True)
    return context.publish_result(
        str(report), {"/result/rows": Variable((), np.array(report.rows), "rows of the data set")}
    )
