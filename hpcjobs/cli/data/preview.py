"""Some rows of a data set as a picture: a contact sheet of images, histograms of a table."""

import re
from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError

USAGE = "FILE OUT.png"


def main(argv: list[str]) -> int:
    """`hpcjobs data preview`: a PNG and a line that says what it shows."""
    from hpcjobs.cli.data._augmented import augmented
    from hpcjobs.data.preview import preview
    from hpcjobs.settings import whole_number

    parser = Parser(prog="hpcjobs data preview", description=__doc__)
    parser.add_argument("source", metavar="FILE", help="FILE.h5 of ours, or FILE.h5:/path")
    parser.add_argument("out", type=Path, metavar="OUT.png", help="picture to write")
    parser.add_argument("--rows", metavar="A,B,...", help="which images, counted from 0 (default: 24, evenly spread)")
    parser.add_argument("--shape", metavar="HxW", help="make images of flat rows: height x width, or HxWxC")
    parser.add_argument(
        "--augment", metavar="WHAT", help="show each image as it is and five times changed: KEY=VALUE,... or JOB.toml"
    )
    parser.add_argument("--seed", type=whole_number, default=0, help="what is drawn for --augment (default: 0)")
    parser.add_argument("--force", action="store_true", help="replace OUT.png if it exists")
    given = parser.parse(argv)
    if given.rows is not None and not re.fullmatch(r"\d{1,18}(,\d{1,18})*", given.rows, re.ASCII):
        raise SettingsError(f"--rows {given.rows!r}: expected row numbers with commas between them, such as 0,5,9")
    rows = [int(row) for row in given.rows.split(",")] if given.rows else []
    versions = None if given.augment is None else augmented(given.augment, given.seed)
    print(preview(given.source, given.out, rows, given.shape, versions=versions, force=given.force))
    return 0
