"""Measure the model of a finished run on labelled rows: loss, accuracy, confusion, and how each class fares."""

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hpcjobs import jobs
from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find


def main(argv: list[str]) -> int:
    """`hpcjobs evaluate RUN DATA`, on any number of ranks."""
    from hpcjobs.parallel.census import refuse_singletons
    from hpcjobs.parallel.communicator import on_root
    from hpcjobs.parallel.starter import world
    from hpcjobs.runs.model import Model, find_result, read_model

    parser = Parser(prog="hpcjobs evaluate", description=__doc__)
    parser.add_argument("model", metavar="RUN", help="run folder, its name, or a result.h5")
    parser.add_argument("data", metavar="DATA.h5", help="labelled rows: FILE.h5 or FILE.h5:/path")
    parser.add_argument("--labels", metavar="FILE.h5:/path", help="class of each row (default: y beside the rows)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    communicator = world()
    refuse_singletons(communicator)

    def look() -> tuple[str, Path, Model]:
        named = Path(given.model)
        path = find_result(named.absolute() if named.is_file() else find(given.model))
        name, code = read_model(path).job, RunFolder(path.parent).code
        job = jobs.find(name, code)
        if not hasattr(job, "evaluate"):
            raise SettingsError(f"{path}: a result of {name}, which has nothing to evaluate")
        return name, code, read_model(path, job.MODEL)

    name, code, model = on_root(communicator, look)
    job = jobs.find(name, code)
    found = job.evaluate(model, given.data, given.labels, communicator)
    if communicator.rank == 0:
        print(json.dumps(_plain(found), indent=2)) if given.json else print_measures(found, Console(highlight=False))
    return 0


def print_measures(found: dict[str, Any], console: Console) -> None:
    """The readable form: single numbers, one line a class, and who was taken for whom."""
    for name in ("rows", "loss", "accuracy"):
        if name in found:
            console.print(f"{name:<10}{found[name]:.6g}")
    if "classes" not in found:
        return
    table = Table(*found["classes"][0], box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in found["classes"]:
        table.add_row(*(value if isinstance(value, str) else f"{value:.4g}" for value in row.values()))
    console.print(table)
    console.print("confusion (rows: true classes, columns: predicted)")
    for row, told in zip(found["confusion"], found["classes"], strict=True):
        console.print(" ".join(f"{count:6d}" for count in row), told.get("name", ""), markup=False)


def _plain(value: Any) -> Any:
    """The same with null for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
