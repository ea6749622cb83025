"""A real browser reads the pages: on a phone, on a desk, on paper."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from pages import ATTEMPT, run_file

from hpcjobs.cli import report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (on Debian: apt-get install chromium)")
LIMIT_S = 60
PHONE, DESK = 390, 1200
# What of the page reaches beyond its edge, but for what scrolls in a box of its own.
MEASURE = """<script>onload = () => {
  const width = document.documentElement.clientWidth, beyond = [...document.querySelectorAll("body *")]
    .filter(e => !e.parentElement.closest(".wide") && e.getBoundingClientRect().right > width + 1).map(e => e.tagName);
  const blank = [...document.images].filter(e => !e.naturalWidth).length;
  parent.postMessage(`${width} ${document.documentElement.scrollWidth} ${blank} ${beyond.join("/")}.`, "*");
}</script>"""
# A window is never narrower than 500 pixels; a frame may be.
FRAME = """<script>onmessage = event => { document.title = event.data }</script>
<iframe style="width: {width}px; height: 2000px; border: 0" src="measured.html"></iframe>"""


def browse(page: Path, width: int, *flags: str) -> str:
    """Open a page; what the browser prints."""
    argv = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    argv += [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},2000", *flags, page.as_uri()]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=True, cwd=page.parent)
    return ended.stdout


@pytest.fixture(scope="module")
def page(digits: Path) -> Path:
    """The page of a real run."""
    out = digits / "browser" / "page.html"
    out.parent.mkdir()
    report.main([str(digits / "run"), "-o", str(out), "--shape", "8x8"])
    return out


@pytest.fixture(scope="module")
def odd_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the longest words that a file can make it show."""
    folder, word = tmp_path_factory.mktemp("odd"), "W" * 3000
    settings = {"data": word, word: word}
    path = run_file(folder / f"{'r' * 200}.h5", title=word, settings=settings, attempts=[ATTEMPT | {"reason": word}])
    report.main([str(path), "-o", str(folder / "page.html")])
    return folder / "page.html"


@pytest.mark.parametrize(("kind", "width"), [("page", PHONE), ("page", DESK), ("odd_page", PHONE)])
def test_no_page_is_wider_than_the_window(kind: str, width: int, request: pytest.FixtureRequest) -> None:
    page: Path = request.getfixturevalue(kind)
    text = page.read_text()
    measured = re.sub(r"<meta http-equiv=.*>", MEASURE, text)  # a page itself lets no script run
    assert measured != text
    page.with_name("measured.html").write_text(measured)
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("{width}", str(width)))
    shown = browse(frame, DESK, "--dump-dom", "--virtual-time-budget=5000")
    found = re.search(r"<title>(\d+) (\d+) (\d+) (.*)\.</title>", shown)
    assert found, shown[:500]
    assert found.groups() == (str(width), str(width), "0", "")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_is_seen(page: Path, width: int) -> None:
    shot = page.with_name(f"shot-{width}.png")
    browse(page, width, f"--screenshot={shot}")
    pixels = imread(shot)[..., :3]
    assert pixels.shape[:2] == (2000, width)
    dark = (pixels.max(axis=2) < 0.4).any(axis=1)
    assert dark.mean() > 0.15  # rows of the picture that have ink
    assert dark[-200:].any()
    assert len(np.unique((pixels[::4, ::4].reshape(-1, 3) * 15).astype(int), axis=0)) > 30  # figures have colours


def test_the_page_prints(page: Path) -> None:
    paper = page.with_name("paper.pdf")
    browse(page, DESK, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12
