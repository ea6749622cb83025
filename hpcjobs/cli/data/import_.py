"""A table of numbers (CSV, TSV, .npy, .npz, FILE.h5:/path) as a data set of ours."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.runs.progress import Bar

USAGE = "SOURCE OUT.h5"


def main(argv: list[str]) -> int:
    """`hpcjobs data import`: read a table, check it, write it."""
    from hpcjobs.data.importing import import_table
    from hpcjobs.data.table import ImportOptions

    source, out, options = arguments(argv)
    with Bar(f"import {Path(source).name}") as bar:
        report = import_table(source, out, ImportOptions(**options), bar.to)
    print(report)
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    from hpcjobs.data.examples import resolve

    source, file, options = arguments(argv)
    named = str(Path(resolve(source)).expanduser().absolute())  # the job runs elsewhere
    return {"source": named, "file": str(file), "options": options}


def arguments(argv: list[str]) -> tuple[str, Path, dict[str, Any]]:
    """Source, file to write and options."""
    parser = Parser(prog="hpcjobs data import", description=__doc__)
    parser.add_argument("source", help="CSV or TSV (also .gz), .npy, .npz[:/array], FILE.h5[:/path]")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    parser.add_argument(
        "--header", choices=("yes", "no"), help="whether the first row names the columns (default: look)"
    )
    parser.add_argument("--delimiter", help="one character (default: by the name of the file)")
    parser.add_argument(
        "--columns",
        metavar="A,B,...",
        help="feature columns, by name or 0-based number (default: all others)",
    )
    parser.add_argument("--id", dest="id_column", metavar="COLUMN", help="column that identifies the rows")
    parser.add_argument("--target", dest="target_column", metavar="COLUMN", help="column to keep apart as /data/y")
    parser.add_argument("--dtype", choices=("float32", "float64", "uint8"), help="type of the features")
    parser.add_argument(
        "--bad-rows",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with rows that do not fit",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    given = vars(parser.parse(argv))
    source, out = given.pop("source"), given.pop("out")
    given["columns"] = tuple((given["columns"] or "").split(",")) if given["columns"] else ()
    given["header"] = {"yes": True, "no": False, None: None}[given["header"]]
    return source, out, given
