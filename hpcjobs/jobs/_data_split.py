"""`hpcjobs data split` as a run, on all of its ranks."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from hpcjobs.data.recipe import Recipe
from hpcjobs.data.schema import Variable, texts
from hpcjobs.data.split import check as check_split
from hpcjobs.data.split import split
from hpcjobs.runs.context import Context
from hpcjobs.settings import setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `hpcjobs data split` was told."""

    source: Annotated[str, setting("rows to divide", kind="data")]
    out_dir: Annotated[str | None, setting("where to write the parts", kind="data")] = None
    recipe: dict[str, Any] = {}
    force: bool = False


def check(settings: Settings) -> None:
    """Refuse before the queue what cannot be done."""
    check_split(settings.source, *_asked(settings), settings.force)


def run(settings: Settings, context: Context) -> str:
    """Divide the rows; the result tells how many went where."""
    # What lies there now is of an earlier attempt: check() has asked about anything else.
    parts = split(settings.source, *_asked(settings), communicator=context.communicator, force=True)
    return context.publish_result(
        "\n".join(map(str, parts)),
        {
            "/result/file": Variable(("part",), texts(str(part.file) for part in parts), "file of each part"),
            "/result/rows": Variable(("part",), np.array([part.rows for part in parts]), "rows of each part"),
        },
    )


def _asked(settings: Settings) -> tuple[Recipe, Path | None]:
    return msgspec.convert(settings.recipe, Recipe), None if settings.out_dir is None else Path(settings.out_dir)
