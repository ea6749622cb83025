"""A data set divided into parts to train, to test and to validate: by shares, classes and groups."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.progress import Bar
from hpcjobs.settings import real_number, whole_number

USAGE = "FILE"


def main(argv: list[str]) -> int:
    """`hpcjobs data split`, on any number of ranks; a line for each file that it made."""
    from hpcjobs.data.recipe import Recipe
    from hpcjobs.data.split import split

    source, folder, force, recipe = arguments(argv)
    if (code := _ranks.started(["data", "split"], argv, recipe.pop("ranks"))) is not None:
        return code
    communicator = _ranks.here()
    with Bar(f"split {Path(source).name}", communicator.rank == 0) as bar:
        parts = split(source, Recipe(**recipe), folder, communicator=communicator, force=force, progress=bar.to)
    if communicator.rank == 0:
        print(*parts, sep="\n")
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same."""
    source, folder, force, recipe = arguments(argv)
    _ranks.refuse(recipe.pop("ranks"))
    return {"source": source, "out_dir": None if folder is None else str(folder), "force": force, "recipe": recipe}


def arguments(argv: list[str]) -> tuple[str, Path | None, bool, dict[str, Any]]:
    """File, folder to write to, whether to replace files, and the recipe with the ranks that make it."""
    parser = Parser(prog="hpcjobs data split", description=__doc__)
    parser.add_argument("source", metavar="FILE", help="FILE.h5 of ours, or FILE.h5:/path")
    parser.add_argument("--test", type=real_number, metavar="SHARE", help="share of the rows to test with, such as 0.2")
    parser.add_argument("--validation", type=real_number, default=0.0, metavar="SHARE", help="share to validate with")
    parser.add_argument("--by", metavar="COLUMN", help="data set of a value a row (patient, scan ...) to keep together")
    parser.add_argument("--stratify", action="store_true", help="keep the shares of the classes in /data/y")
    parser.add_argument("--parts", metavar="COLUMN", help="data set that says train, test or validation of each row")
    parser.add_argument("--seed", type=whole_number, default=0, help="which rows are drawn (default: 0)")
    parser.add_argument("--out-dir", type=Path, metavar="DIR", help="where to write the parts (default: beside FILE)")
    parser.add_argument("--force", action="store_true", help="replace parts that exist")
    _ranks.add_ranks(parser)
    given = vars(parser.parse(argv))
    return given.pop("source"), given.pop("out_dir"), given.pop("force"), given
