"""Rows of several files of the same samples, joined by their ids into one: features beside features."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.progress import Bar

USAGE = "A.h5 B.h5 ... OUT.h5"


def main(argv: list[str]) -> int:
    """`hpcjobs data join`, on any number of ranks."""
    from hpcjobs.data.join import join

    given = arguments(argv)
    if (code := _ranks.started(["data", "join"], argv, given.pop("ranks"))) is not None:
        return code
    communicator = _ranks.here()
    with Bar(f"join {len(given['sources'])} data sets", communicator.rank == 0) as bar:
        report = join(**given, communicator=communicator, progress=bar.to)
    if communicator.rank == 0:
        print(report)
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same; the job runs elsewhere, so paths are absolute."""
    given = arguments(argv)
    _ranks.refuse(given.pop("ranks"))
    sources = [str(Path(source).expanduser().absolute()) for source in given["sources"]]
    return {"sources": sources, "out": str(given["out"]), "force": given["force"]}


def arguments(argv: list[str]) -> dict[str, Any]:
    """What was told."""
    parser = Parser(prog="hpcjobs data join", description=__doc__)
    parser.add_argument("sources", nargs="+", metavar="FILE", help="FILE.h5 of ours, or FILE.h5:/path; two or more")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    _ranks.add_ranks(parser)
    return vars(parser.parse(argv))
