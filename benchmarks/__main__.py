"""Run a benchmark by its name: python -m benchmarks cnn [its own options]."""

import runpy
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent
NOT_RUN = ("__main__", "fair")

if __name__ == "__main__":
    names = sorted(path.stem for path in HOME.glob("*.py") if path.stem not in NOT_RUN and path.stem[0] != "_")
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"name one of: {', '.join(names)}")
    sys.argv[:2] = [str(HOME / f"{sys.argv[1]}.py")]
    sys.path.insert(0, str(HOME))
    runpy.run_path(sys.argv[0], run_name="__main__")
