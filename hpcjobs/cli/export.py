"""What a result or a prediction says of each sample, such as its label, as CSV, TSV or Parquet."""

from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import RunFolderError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find
from hpcjobs.runs.progress import Bar


def main(argv: list[str]) -> int:
    """`hpcjobs export`: a table with the id of each sample first."""
    from hpcjobs.data.export import export

    parser = Parser(prog="hpcjobs export", description=__doc__)
    parser.add_argument(
        "what",
        metavar="RUNDIR|RESULT.h5",
        help="run folder, its name or `last`; or the file of a result or a prediction",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="table to write: OUT.csv, OUT.tsv or OUT.parquet")
    parser.add_argument(
        "--dataset",
        metavar="A,B,...",
        help="data sets of /result, such as /result/labels (default: all of each sample)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    given = parser.parse(argv)
    names = given.dataset.split(",") if given.dataset else []
    with Bar(f"export {given.out.name}") as bar:
        report = export(result_of(given.what), given.out, names, force=given.force, progress=bar.to)
    print(report)
    return 0


def result_of(what: str) -> Path:
    """The result file that a name means."""
    if Path(what).is_file():
        return Path(what)
    folder = RunFolder(find(what))
    folder.read_settings()
    if not folder.result.exists():
        raise RunFolderError(f"{folder.path}: has no result yet; hpcjobs status {what} tells how far it is")
    return folder.result
