"""Make one page of a run, a sweep or a file: what was asked, result, figures, provenance."""

from pathlib import Path

from hpcjobs.cli import Parser


def main(argv: list[str]) -> int:
    """`hpcjobs report`: one HTML file that is complete in itself; prints its path."""
    from hpcjobs.data.publish import publish
    from hpcjobs.data.table import refuse_existing
    from hpcjobs.report.building import build
    from hpcjobs.report.page import render, require
    from hpcjobs.runs.index import find

    parser = Parser(prog="hpcjobs report", description=__doc__)
    parser.add_argument(
        "what",
        metavar="RUNDIR|FILE.h5",
        help="run or sweep folder, its name, or `last`; result, checkpoint, live file or data set",
    )
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="PAGE.html", help="(default: report.html in the folder, FILE.html beside)"
    )
    parser.add_argument("--shape", metavar="HxW", help="rows are images of this shape, such as 8x8 or 32x32x3")
    parser.add_argument("--force", action="store_true", help="replace the page if it exists")
    given = parser.parse(argv)
    require()
    path = Path(given.what) if Path(given.what).is_file() else find(given.what)
    out = given.out or (path / "report.html" if path.is_dir() else path.with_suffix(".html"))
    refuse_existing(out, given.force)
    page = render(build(path, given.shape))
    with publish(out) as temporary:
        temporary.write_bytes(page)
        if given.out is None:  # for those who may read what it tells of
            temporary.chmod(path.stat().st_mode & 0o666)
    print(out)
    return 0
