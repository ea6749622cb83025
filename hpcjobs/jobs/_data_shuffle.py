"""`hpcjobs data shuffle` as a run, on all of its ranks."""

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from hpcjobs.data import shuffle
from hpcjobs.data.schema import Variable, text
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs data shuffle` was told."""

    source: Annotated[str, setting("rows to shuffle", kind="data")]
    out: Annotated[str, setting("file to write", kind="data")]
    seed: int = 0
    memory: int | None = None
    force: bool = False


def check(settings: Settings) -> None:
    """Refuse before the queue what cannot be done."""
    shuffle.check(settings.source, Path(settings.out), settings.seed, settings.force)


def run(settings: Settings, context: Context) -> str:
    """Shuffle the rows; the result tells how many."""
    asked = msgspec.structs.asdict(settings) | {"out": Path(settings.out), "force": True}  # check() has asked
    report = shuffle.shuffle(**asked, communicator=context.communicator)
    return context.publish_result(
        str(report),
        {
            "/result/rows": Variable((), np.array(report.rows), "rows of the data set"),
            "/result/file_digest": Variable((), text(report.digest), "file digest of the data set"),
        },
    )
