"""The rows of a data set in one random order, with all that belongs to them; larger than memory too."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.progress import Bar
from hpcjobs.settings import memory_size, whole_number

USAGE = "IN OUT.h5"


def main(argv: list[str]) -> int:
    """`hpcjobs data shuffle`, on any number of ranks."""
    from hpcjobs.data.shuffle import shuffle

    given = arguments(argv)
    if (code := _ranks.started(["data", "shuffle"], argv, given.pop("ranks"))) is not None:
        return code
    communicator = _ranks.here()
    with Bar(f"shuffle {Path(given['source']).name}", communicator.rank == 0) as bar:
        report = shuffle(**given, communicator=communicator, progress=bar.to)
    if communicator.rank == 0:
        print(report)
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    given = arguments(argv)
    _ranks.refuse(given.pop("ranks"))
    return given | {"out": str(given["out"])}


def arguments(argv: list[str]) -> dict[str, Any]:
    """What was told."""
    parser = Parser(prog="hpcjobs data shuffle", description=__doc__)
    parser.add_argument("source", metavar="IN", help="FILE.h5 of ours, or FILE.h5:/path")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    parser.add_argument("--seed", type=whole_number, default=0, help="the order is a function of it (default: 0)")
    parser.add_argument(
        "--memory", type=memory_size, metavar="SIZE", help="what each rank may hold, as 2GB (default: what is free)"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    _ranks.add_ranks(parser)
    return vars(parser.parse(argv))
