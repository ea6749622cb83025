"""Makes docs/images/cnn-*.svg and cnn-augmented.png from a real run: python docs/images/cnn.py"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hpcjobs.jobs import cnn
from hpcjobs.report.figures import draw
from hpcjobs.report.kinds import Material
from hpcjobs.report.reading import arrays, below
from hpcjobs.runs.story import tell

HERE = Path(__file__).parent
AUGMENTATION = "rotation=15,zoom=0.15,width-shift=1,height-shift=1,fill=constant"
COMMANDS = (
    "hpcjobs data import example:digits.csv digits.h5 --target digit --dtype uint8",
    "hpcjobs data split digits.h5 --test 0.2 --stratify",
    f"hpcjobs data preview digits-train.h5 sheet.png --shape 8x8 --augment {AUGMENTATION}",
    "hpcjobs run cnn --data digits-train.h5 --validation digits-test.h5 --image-shape 8x8x1 --rescale 0.0625"
    f" --augmentation {AUGMENTATION} --network lenet --learning-rate 0.004 --epochs 20 --out digits -n 2",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "XDG_STATE_HOME": str(work / "state")}
        for command in COMMANDS:
            subprocess.run(command.split(), cwd=work, env=env, check=True)
        result = work / "digits" / "result.h5"
        material = Material(below(arrays(result), "result"), tell(result)["history"])
        for figure in cnn.figures(material):
            (HERE / f"cnn-{figure.title.lower()}.svg").write_text(draw(figure))
        (HERE / "cnn-augmented.png").write_bytes((work / "sheet.png").read_bytes())


if __name__ == "__main__":
    main()
