"""One digest for 1, 2, 3, 4 and 7 ranks, with an old BLAS kernel and without, from the definitions and their twins.

python accept/same_bits.py [--rows 60000]
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hpcjobs.runs.story import tell

COMMAND = [sys.executable, "-m", "hpcjobs"]
RANKS = (1, 2, 3, 4, 7)
BLAS = {"native": {}, "Haswell": {"OPENBLAS_CORETYPE": "Haswell"}}
KERNELS = {"twins": {}, "definitions": {"HPCJOBS_KERNELS": "reference"}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    rows = str(parser.parse_args().rows)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    digests = set()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        clean["XDG_STATE_HOME"] = str(work / "state")
        blobs = ["data", "generate", "blobs", "b.h5", "--rows", rows, "--columns", "24", "--centres", "30"]
        subprocess.run([*COMMAND, *blobs, "--spread", "8"], cwd=work, check=True)
        for ranks, blas, kernels in itertools.product(RANKS, BLAS, KERNELS):
            out = f"{ranks}-{blas}-{kernels}"
            run = ["run", "kmeans", "--data", "b.h5", "--clusters", "40", "--restarts", "2", "--max-iterations", "12"]
            env = clean | BLAS[blas] | KERNELS[kernels]
            subprocess.run([*COMMAND, *run, "-n", str(ranks), "--out", out], cwd=work, check=True, env=env)
            told = tell(work / out / "result.h5")
            print(f"{ranks} ranks, {blas:8} {kernels:12} {told['ranks'][0]['blas']:28} {told['digest']}", flush=True)
            digests.add(told["digest"])
    print("PASSED" if len(digests) == 1 else "FAILED")
    return 0 if len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
