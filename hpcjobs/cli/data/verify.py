"""Check every byte of files against the digests they carry. Exit code 2 when one is damaged."""

import json
from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.errors import DataError

USAGE = "FILE ..."


def main(argv: list[str]) -> int:
    """`hpcjobs data verify`: every file is looked at, also after one that is damaged."""
    from hpcjobs.data.inspect import verify_file

    parser = Parser(prog="hpcjobs data verify", description=__doc__)
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
