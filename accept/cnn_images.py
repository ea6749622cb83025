"""Real images: cats and dogs by the reference network, CIFAR-10 by that of its example; test accuracy and time.

HPCJOBS_IMAGES=FOLDER python accept/cnn_images.py [--images FOLDER] [--seeds 3] [--only pets|cifar]

FOLDER holds cats-vs-dogs.tar (folders cats and dogs) and cifar10.tar.gz (cifar10/train and cifar10/test, ten folders
each); what is not there is skipped.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
COMMAND = [sys.executable, "-m", "hpcjobs"]
PETS, CIFAR = "cats-vs-dogs.tar", "cifar10.tar.gz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=os.environ.get("HPCJOBS_IMAGES"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("pets", "cifar"))
    given = parser.parse_args()
    if given.images is None:
        print("SKIPPED: no images; name the folder of the archives in HPCJOBS_IMAGES, or with --images")
        return 0
    verdicts = []
    for only, name in (("pets", PETS), ("cifar", CIFAR)):
        path = Path(given.images).absolute() / name
        if given.only not in (None, only):
            continue
        if not path.exists():
            print(f"SKIPPED {only}: {path} is not there")
            continue
        with tempfile.TemporaryDirectory() as work:
            verdicts += pets(path, Path(work), given.seeds) if only == "pets" else cifar(path, Path(work))
    if verdicts:
        print("PASSED" if all(verdicts) else "FAILED")
    return 0 if all(verdicts) else 1


def pets(archive: Path, work: Path, seeds: int) -> list[bool]:
    """Mean accuracy on 400 of 2,000 images, trained on the others."""
    hpcjobs(work, "data", "import", str(archive), "pets.h5", "--size", "150x150")
    hpcjobs(work, "data", "split", "pets.h5", "--test", "0.2", "--stratify")
    found = []
    for seed in range(1, seeds + 1):
        seconds = train(work, "cats-dogs.toml", "pets-train.h5", f"seed-{seed}", "--seed", str(seed))
        found.append(accuracy(work, f"seed-{seed}", "pets-test.h5"))
        print(f"cats and dogs, seed {seed}: accuracy {found[-1]:.4f}, {seconds}", flush=True)
    mean = sum(found) / len(found)
    return [judge(f"cats and dogs, mean of {seeds} seeds: accuracy {mean:.4f} (at least 0.72)", mean >= 0.72)]


def cifar(archive: Path, work: Path) -> list[bool]:
    """Accuracy on the test images that are given, and how long the training took."""
    for part in ("train", "test"):
        hpcjobs(work, "data", "import", f"{archive}:/cifar10/{part}", f"{part}.h5")
    begun = time.monotonic()
    seconds = train(work, "cifar10.toml", "train.h5", "cifar")
    took, found = time.monotonic() - begun, accuracy(work, "cifar", "test.h5")
    return [
        judge(f"CIFAR-10: accuracy {found:.4f} (at least 0.80)", found >= 0.8),
        judge(f"CIFAR-10: {seconds} (at most 600 s)", took <= 600),
    ]


def train(work: Path, example: str, data: str, out: str, *flags: str) -> str:
    """Train on two ranks; how long it took."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    hpcjobs(work, "run", "cnn", str(EXAMPLES / example), "--data", data, "--out", out, "-n", "2", *flags)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{time.monotonic() - begun:.0f} s on 2 ranks, {cpu:.0f} s of CPU time"


def accuracy(work: Path, run: str, data: str) -> float:
    return float(json.loads(hpcjobs(work, "evaluate", run, data, "--json"))["accuracy"])


def hpcjobs(work: Path, *argv: str) -> str:
    env = os.environ | {"XDG_STATE_HOME": str(work / "state")}
    return subprocess.run(
        [*COMMAND, *argv], cwd=work, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


def judge(what: str, good: bool) -> bool:
    print(f"{'ok  ' if good else 'MISS'} {what}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
