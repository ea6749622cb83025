"""`hpcjobs data generate blobs` as a run, on all of its ranks."""

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from hpcjobs.data.generate import generate_blobs
from hpcjobs.data.schema import Variable
from hpcjobs.data.table import refuse_existing
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs data generate` was told."""

    out: Annotated[str, setting("file to write", kind="data")]
    rows: int
    columns: int
    centres: int
    seed: int = 0
    dtype: str = "float32"
    spread: float = 1.0
    force: bool = False


def check(settings: Settings) -> None:
    """Refuse before the queue what is there already."""
    refuse_existing(Path(settings.out), settings.force)


def run(settings: Settings, context: Context) -> str:
    """Generate the rows; the result tells how many."""
    asked = msgspec.structs.asdict(settings) | {"out": Path(settings.out), "force": True}  # check() has asked
    generate_blobs(**asked, communicator=context.communicator)
    return context.publish_result(
        f"{settings.rows} rows x {settings.columns} columns of {settings.dtype}: {settings.out}",
        {"/result/rows": Variable((), np.array(settings.rows), "rows of the data set")},
    )
