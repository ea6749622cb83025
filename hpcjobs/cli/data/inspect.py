"""What an HDF5 file holds, from its metadata alone."""

import json
from pathlib import Path

from hpcjobs.cli import Parser

USAGE = "FILE"


def main(argv: list[str]) -> int:
    """`hpcjobs data inspect`: the story of a file, and a line for each of its data sets."""
    from rich.console import Console
    from rich.table import Table

    from hpcjobs.data.inspect import describe_file

    parser = Parser(prog="hpcjobs data inspect", description=__doc__)
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
