"""The peak memory of a whole k-means process: its rows plus at most 20 %, beyond what an almost empty run needs.

python accept/peak_memory.py [--mebibytes 1024]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = [sys.executable, "-m", "hpcjobs"]
COLUMNS = 32


def peak(work: Path, rows: int, *flags: str) -> int:
    """Peak resident bytes of one run over `rows` rows."""
    blobs = ["data", "generate", "blobs", "b.h5", "--rows", str(rows), "--columns", str(COLUMNS), "--centres", "20"]
    subprocess.run([*COMMAND, *blobs, "--force"], cwd=work, check=True, stdout=subprocess.DEVNULL)
    run = ["run", "kmeans", "--data", "b.h5", "--clusters", "16", "--max-iterations", "3", "--out", f"{rows}{flags}"]
    process = subprocess.Popen([*COMMAND, *run, *flags], cwd=work, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run ended with status {status}")
    return usage.ru_maxrss * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    slab = parser.parse_args().mebibytes * 2**20
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["XDG_STATE_HOME"] = str(work / "state")
        for flags in ((), ("--init", "random"), ("--missing", "omit")):
            base = peak(work, 1000, *flags)
            extra = (peak(work, slab // (4 * COLUMNS), *flags) - base) / slab - 1
            print(
                f"{' '.join(flags) or 'k-means++':16} slab {slab >> 20} MiB, beyond it {100 * extra:.1f} %", flush=True
            )
            worst = max(worst, extra)
    print("PASSED" if worst <= 0.2 else "FAILED")
    return 0 if worst <= 0.2 else 1


if __name__ == "__main__":
    sys.exit(main())
