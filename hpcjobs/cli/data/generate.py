"""Points around known centres, of any size: every row depends on the seed and its number only."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.progress import Bar
from hpcjobs.settings import real_number, whole_number

USAGE = "blobs OUT.h5"


def main(argv: list[str]) -> int:
    """`hpcjobs data generate`, on any number of ranks."""
    from hpcjobs.data.generate import generate_blobs

    given = arguments(argv)
    if (code := _ranks.started(["data", "generate"], argv, given.pop("ranks"))) is not None:
        return code
    communicator = _ranks.here()
    with Bar("generate blobs", communicator.rank == 0) as bar:
        generate_blobs(**given, communicator=communicator, progress=bar.to)
    if communicator.rank == 0:
        print(f"{given['out']}: {given['rows']} rows x {given['columns']} columns of {given['dtype']}")
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    given = arguments(argv)
    _ranks.refuse(given.pop("ranks"))
    return given | {"out": str(given["out"])}


def arguments(argv: list[str]) -> dict[str, Any]:
    """What was told."""
    parser = Parser(prog="hpcjobs data generate", description=__doc__)
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
    _ranks.add_ranks(parser)
    given = vars(parser.parse(argv))
    given.pop("kind")
    return given
