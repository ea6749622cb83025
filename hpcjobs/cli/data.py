"""Import, generate, inspect and verify data sets."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.errors import DataError, SettingsError, nearest
from hpcjobs.runs.progress import Bar
from hpcjobs.settings import real_number, whole_number

USAGE = """usage: hpcjobs data COMMAND ...

commands:
  import SOURCE OUT.h5         a table of numbers (CSV, TSV, .npy, .npz, FILE.h5:/path) as a data set of ours
  generate blobs OUT.h5        points around known centres, of any size
  inspect FILE                 what an HDF5 file holds
  verify FILE ...              check every byte against the digests kept in the file

`hpcjobs data COMMAND --help` tells the flags."""


def main(argv: list[str]) -> int:
    """`hpcjobs data`: run one of its commands."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "import": import_, "generate": generate, "inspect": inspect, "verify": verify
    }  # fmt: skip
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] not in commands:
        raise SettingsError(f"hpcjobs data: no command {argv[0]!r}; {nearest(argv[0], commands)}")
    return commands[argv[0]](argv[1:])


def import_(argv: list[str]) -> int:
    """A table of numbers becomes a data set of ours."""
    from hpcjobs.data.importing import import_table
    from hpcjobs.data.table import ImportOptions

    source, out, options = import_arguments(argv)
    with Bar(f"import {Path(source).name}") as bar:
        report = import_table(source, out, ImportOptions(**options), bar.to)
    print(report)
    return 0


def import_arguments(argv: list[str]) -> tuple[str, Path, dict[str, Any]]:
    """Source, file to write and options of `data import`."""
    parser = Parser(prog="hpcjobs data import", description=import_.__doc__)
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


def generate(argv: list[str]) -> int:
    """Points around known centres: every row depends on the seed and its number only. Runs on any number of ranks."""
    from hpcjobs.data.generate import generate_blobs
    from hpcjobs.parallel.census import refuse_singletons
    from hpcjobs.parallel.starter import world

    given = generate_arguments(argv)
    communicator = world()
    refuse_singletons(communicator)
    with Bar("generate blobs", communicator.rank == 0) as bar:
        generate_blobs(**given, communicator=communicator, progress=bar.to)
    if communicator.rank == 0:
        print(f"{given['out']}: {given['rows']} rows x {given['columns']} columns of {given['dtype']}")
    return 0


def generate_arguments(argv: list[str]) -> dict[str, Any]:
    """What `data generate` was told."""
    parser = Parser(prog="hpcjobs data generate", description=generate.__doc__)
    parser.add_argument("kind", choices=("blobs",), help="Gaussian blobs around uniformly drawn centres")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    parser.add_argument("--rows", type=whole_number, required=True)
    parser.add_argument("--columns", type=whole_number, required=True)
    parser.add_argument("--centres", type=whole_number, required=True)
    parser.add_argument("--seed", type=whole_number, default=0, help="(default: 0)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="(default: float32)")
    parser.add_argument(
        "--spread", type=real_number, default=1.0, help="standard deviation around a centre (default: 1)"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    given = vars(parser.parse(argv))
    given.pop("kind")
    return given


def inspect(argv: list[str]) -> int:
    """What an HDF5 file holds, from its metadata alone."""
    from rich.console import Console
    from rich.table import Table

    from hpcjobs.data.inspect import describe_file

    parser = Parser(prog="hpcjobs data inspect", description=inspect.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse(argv)
    found = describe_file(given.file)
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    table = Table("data set", "shape", "type", "storage", "meaning", box=None, header_style="bold")
    for dataset in found.pop("datasets"):
        shape = " x ".join(str(length) for length in dataset["shape"] or ()) or "one value"
        table.add_row(
            dataset["path"],
            shape,
            dataset["dtype"],
            dataset["storage"],
            dataset.get("problem") or dataset["long_name"] or "",
        )
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for key, value in found.items():
        if value not in (None, "", "none"):
            console.print(f"{key:<14}{value}")
    console.print(table)
    return 0


def verify(argv: list[str]) -> int:
    """Check every byte of files against the digests they carry. Exit code 2 when one is damaged."""
    from hpcjobs.data.inspect import verify_file

    parser = Parser(prog="hpcjobs data verify", description=verify.__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a file on stdout")
    given = parser.parse(argv)
    failed = []
    for path in given.files:
        try:
            report: dict[str, Any] = verify_file(path)
            line = f"{path}: {report['message']}"
        except DataError as problem:
            failed.append(str(path))
            report = {"file": str(path), "problem": str(problem)}
            line = str(problem)
        print(json.dumps(report) if given.json else line)
    if failed:
        raise DataError(f"damaged or unreadable: {len(failed)} of {len(given.files)} files ({', '.join(failed)})")
    return 0
