"""Say of new rows what the model of a finished run says of them, such as their clusters."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser
from hpcjobs.runs.index import find
from hpcjobs.runs.progress import Bar


def main(argv: list[str]) -> int:
    """`hpcjobs predict RUN DATA OUT.h5`, on any number of ranks."""
    from hpcjobs.jobs._predict import Settings, predict_file
    from hpcjobs.parallel.census import refuse_singletons
    from hpcjobs.parallel.starter import world

    given = request(argv)
    communicator = world()
    refuse_singletons(communicator)
    with Bar("predict", communicator.rank == 0) as bar:
        rows, undecided = predict_file(Settings(**given), communicator, bar.to)
    if communicator.rank == 0:
        nothing = f", {undecided} of them without an answer (missing or infinite values)" if undecided else ""
        print(f"{given['file']}: {rows} rows{nothing}")
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    parser = Parser(prog="hpcjobs predict", description=__doc__)
    parser.add_argument("model", metavar="RUN", help="run folder, its name, or a result.h5")
    parser.add_argument("data", metavar="DATA.h5", help="new rows: FILE.h5 or FILE.h5:/path")
    parser.add_argument("file", metavar="OUT.h5", help="file to write: /prediction/id and what is said of each row")
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    given = vars(parser.parse(argv))
    named = Path(given["model"])
    return given | {"model": str(named.absolute() if named.is_file() else find(given["model"]))}
