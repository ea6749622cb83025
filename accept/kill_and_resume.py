"""Kill a 3-rank run with SIGKILL at 50 random moments, resume each time, and compare with the undisturbed run.

    python accept/kill_and_resume.py [--kills 50] [--seed 1]

Whom: a random rank, the launcher, or the parent. Nothing may be lost: each attempt begins at the newest checkpoint of
the one before, every file that has a final name is whole, and the digest at the end is that of the undisturbed run.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpcjobs.data.inspect import verify_file
from hpcjobs.runs.story import tell

COMMAND = [sys.executable, "-m", "hpcjobs"]
DATA = ["data", "generate", "blobs", "b.h5", "--rows", "200000", "--columns", "16", "--centres", "30", "--spread", "30"]
SETTINGS = "--data b.h5 --clusters 64 --init random --tolerance 0 --max-iterations 60 --checkpoint-seconds 0.5".split()
RESTARTS = ["--restarts", "150"]  # 9,000 iterations: longer than 50 attempts of a few seconds


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def choose(parent: int, who: str, draw: random.Random) -> int:
    """The process to kill; the parent while the others are not there yet."""
    launcher = children(parent)
    if who == "parent" or not launcher:
        return parent
    ranks = [rank for proxy in children(launcher[0]) for rank in children(proxy)]
    return launcher[0] if who == "launcher" or not ranks else draw.choice(sorted(ranks))


def newest(folder: Path) -> int:
    """The step of the newest checkpoint, which must be whole; 0 without one."""
    files = sorted(folder.glob("checkpoints/step-*.h5"))
    for path in files:
        verify_file(path)
    return int(files[-1].stem[5:]) if files else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311 (moments, not secrets)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["XDG_STATE_HOME"] = str(work / "state")
        run = [*COMMAND, "run", "kmeans", *SETTINGS, *RESTARTS, "--out"]
        subprocess.run([*COMMAND, *DATA], cwd=work, check=True)
        began = time.monotonic()
        subprocess.run([*run, "calm", "-n", "3"], cwd=work, check=True)
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
        folder = work / "killed"
        subprocess.run([*run, "killed", "--help"], cwd=work, check=True, stdout=subprocess.DEVNULL)
        for kill in range(1, given.kills + 1):
            before = newest(folder)
            made = (folder / "settings.json").exists()  # the first kills may come before the folder
            command = [*COMMAND, "resume", "killed", "-n", "3"] if made else [*run, "killed", "-n", "3"]
            process = subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True)
            moment = draw.uniform(0.05, 4.0)
            time.sleep(moment)
            who = draw.choice(("rank", "launcher", "parent"))
            if process.poll() is not None:
                print(f"attempt {kill} ended by itself with {process.returncode}: {process.communicate()[1]}")
                return 1
            os.kill(choose(process.pid, who, draw), signal.SIGKILL)
            _, err = process.communicate()
            after = newest(folder)
            print(f"kill {kill:2}: {who:8} after {moment:.2f} s, checkpoint {before} -> {after}", flush=True)
            # After a parent was killed its ranks still save and stop: the next attempt may begin later than we looked.
            resumed = [int(step) for step in re.findall(r"resuming after step (\d+)", err)]
            if after < before or any(step < before for step in resumed):
                print(f"lost steps:\n{err}")
                return 1
        subprocess.run([*COMMAND, "resume", "killed", "-n", "2"], cwd=work, check=True)
        calm, killed = tell(work / "calm" / "result.h5"), tell(folder / "result.h5")
        print(f"digest undisturbed {calm['digest']}\ndigest killed      {killed['digest']}")
        print(f"attempts told: {len(killed['attempts'])}, history rows: {len(killed['history']['step'])}")
        same = calm["digest"] == killed["digest"] and calm["history"] == killed["history"]
        print("PASSED" if same else "FAILED")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
