"""A table (CSV, TSV, Parquet, .npy, .npz, IDX, HDF5) or a folder or archive of images as a data set of ours."""

from pathlib import Path
from typing import Any

from hpcjobs.cli import Parser, _ranks
from hpcjobs.runs.progress import Bar

USAGE = "SOURCE OUT.h5"


def main(argv: list[str]) -> int:
    """`hpcjobs data import`: read a source, check it, write it, on any number of ranks."""
    from hpcjobs.data.importing import import_table
    from hpcjobs.data.table import ImportOptions

    source, out, ranks, given = arguments(argv)
    options = ImportOptions(**given)
    options.check()
    if (code := _ranks.started(["data", "import"], argv, ranks)) is not None:
        return code
    communicator = _ranks.here()
    with Bar(f"import {Path(source).name}", communicator.rank == 0) as bar:
        report = import_table(source, out, options, bar.to, communicator)
    if communicator.rank == 0:
        print(report)
    return 0


def request(argv: list[str]) -> dict[str, Any]:
    """The settings of the job that does the same; the job runs elsewhere, so paths are absolute."""
    from hpcjobs.data.examples import resolve

    source, file, ranks, options = arguments(argv)
    _ranks.refuse(ranks)
    for name in ("labels", "key"):
        if options[name] is not None:
            options[name] = str(Path(options[name]).expanduser().absolute())
    named = str(Path(resolve(source)).expanduser().absolute())
    return {"source": named, "file": str(file), "options": options}


def arguments(argv: list[str]) -> tuple[str, Path, str | None, dict[str, Any]]:
    """Source, file to write, ranks and options."""
    parser = Parser(prog="hpcjobs data import", description=__doc__)
    parser.add_argument(
        "source",
        help="CSV or TSV (also .gz), Parquet, .npy, .npz[:/array], IDX, FILE.h5[:/path], a folder or tar archive of "
        "JPEG, PNG or TIFF files, in class folders or not",
    )
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    _ranks.add_ranks(parser)
    parser.add_argument("--dtype", choices=("float32", "float64", "uint8", "uint16"), help="type of the values")
    parser.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    parser.add_argument(
        "--bad-rows",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with rows that do not fit and images that are damaged",
    )
    _add_columns(parser)
    images = parser.add_argument_group("images")
    images.add_argument(
        "--size", metavar="HxW", help="scale each image so that it covers H x W pixels, and cut out its middle"
    )
    images.add_argument("--channels", choices=("grey", "rgb", "rgba"), help="bring all images to these channels")
    images.add_argument("--labels", metavar="FILE", help="IDX file with the target of an IDX file")
    linked = parser.add_argument_group("HDF5")
    linked.add_argument(
        "--follow-links",
        action="store_true",
        help="read what links, virtual data sets and external storage lead to; a missing source is an error",
    )
    given = vars(parser.parse(argv))
    source, out, ranks = given.pop("source"), given.pop("out"), given.pop("ranks")
    for name in ("columns", "drop"):
        given[name] = tuple(word for words in given[name] for word in words.split(","))
    given["header"] = {"yes": True, "no": False, None: None}[given["header"]]
    return source, out, ranks, given


def _add_columns(parser: Parser) -> None:
    tables = parser.add_argument_group("tables")
    tables.add_argument(
        "--header", choices=("yes", "no"), help="whether the first row names the columns (default: look)"
    )
    tables.add_argument("--delimiter", help="one character (default: by the name of the file)")
    tables.add_argument(
        "--columns",
        metavar="A,B,...",
        action="append",
        default=[],
        help="feature columns, by name or 0-based number (default: all others)",
    )
    tables.add_argument(
        "--drop", metavar="A,B,...", action="append", default=[], help="columns to leave out; may be given again"
    )
    tables.add_argument("--id", dest="id_column", metavar="COLUMN", help="column that identifies the rows")
    tables.add_argument("--target", dest="target_column", metavar="COLUMN", help="column to keep apart as /data/y")
    tables.add_argument(
        "--pseudonymise",
        metavar="COLUMN",
        help="replace the ids (the --id column; `id` of images and HDF5) by keyed digests that say nothing",
    )
    tables.add_argument("--key", metavar="FILE", help="private file of at least 16 bytes, the key of --pseudonymise")
