"""Say of new rows what the model of a finished run says of them, such as their clusters."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.index import find
from hpcjobs.runs.progress import Bar


def main(argv: list[str]) -> int:
    """`hpcjobs predict RUN DATA OUT.h5`, on any number of ranks."""
    from hpcjobs.jobs._predict import Settings, predict_file

    given = arguments(argv)
    if (code := _ranks.started(["predict"], argv, given.pop("ranks"))) is not None:
        return code
    communicator = _ranks.here()
    with Bar("predict", communicator.rank == 0) as bar:
        rows, undecided = predict_file(Settings(**given), communicator, bar.to)
    if communicator.rank == 0:
        nothing = f", {undecided} of them without an answer (missing or infinite values)" if undecided else ""
        print(f"{given['file']}: {rows} rows{nothing}")
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    given = arguments(argv)
    _ranks.refuse(given.pop("ranks"))
    return given


def arguments(argv: list[str]) -> dict[str, Any]:
    """Model, rows, file to write and ranks."""
    parser = Parser(prog="hpcjobs predict", description=__doc__)
    parser.add_argument("model", metavar="RUN", help="run folder, its name, or a result.h5")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="new rows: FILE.h5, FILE.h5:/path, or a folder or archive of images",
    )
    parser.add_argument("file", metavar="OUT.h5", help="file to write: /prediction/id and what is said of each row")
    parser.add_argument("--layer", metavar="NAME", help="write what this layer of a network gives, as features")
    parser.add_argument(
        "--bad-rows", choices=("refuse", "skip"), default="refuse", help="what to do with images that are damaged"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    _ranks.add_ranks(parser)
    given = vars(parser.parse(argv))
    named = Path(given["model"])
    return given | {"model": str(named.absolute() if named.is_file() else find(given["model"]))}
