"""Makes docs/images/report.png from a real run: python docs/images/report.py (needs chromium)"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

COMMANDS = (
    "hpcjobs data import example:digits.csv digits.h5 --target digit --dtype uint8",
    "hpcjobs run kmeans --data digits.h5 --clusters 10 --restarts 4 --seed 1 --out digits -n 2",
    "hpcjobs report digits --shape 8x8 -o page.html",
)
SIZE = (1000, 2400)


def main() -> None:
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("docs/images/report.py needs chromium; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "digits"
        work.mkdir()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "XDG_STATE_HOME": str(work / "state")}
        for command in COMMANDS:
            subprocess.run(command.split(), cwd=work, env=env, check=True)
        page = work / "page.html"
        page.write_text(page.read_text().replace(str(work), "/home/ada"))
        shot = Path(__file__).with_suffix(".png")
        argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        argv += [f"--user-data-dir={work / 'profile'}", f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={shot}"]
        subprocess.run([*argv, page.as_uri()], check=True, capture_output=True)
    few = Image.open(shot).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(shot, optimize=True)  # a third of the bytes


if __name__ == "__main__":
    main()
