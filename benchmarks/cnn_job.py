"""Cats and dogs from their JPEG files: our whole job against a Keras script, with augmentation and validation.

    HPCJOBS_IMAGES=FOLDER python -m benchmarks cnn_job [--epochs 2] [--turns 3] [--seeds 0] [--threads 2]

FOLDER holds cats-vs-dogs.tar. Both train the network of examples/cats-dogs.toml on the same 1,600 of 2,000 images, 100
batches of 32 an epoch, and look at the 400 others after each epoch: ours on two ranks from the HDF5 file it imports
once (told apart), Keras on two threads by ImageDataGenerator from folders. Last, `--seeds` trains Keras so often for 15
epochs and tells its accuracy, as accept/cnn_images.py does for ours.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from fair import THREADS, clean_start, machine

EXAMPLE = Path(__file__).parents[1] / "examples" / "cats-dogs.toml"
ARCHIVE = "cats-vs-dogs.tar"
BATCH, STEPS, SIDE = 32, 100, 150


def main() -> None:
    parser = argparse.ArgumentParser(description="a whole training of cats and dogs: hpcjobs and Keras")
    parser.add_argument("--images", type=Path, default=os.environ.get("HPCJOBS_IMAGES"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        by_keras(Path(given.side), given.epochs, given.seeds, given.threads)
        return
    if given.images is None or not (Path(given.images) / ARCHIVE).exists():
        sys.exit(f"no {ARCHIVE}: name its folder in HPCJOBS_IMAGES, or with --images")
    if not importlib.util.find_spec("tensorflow"):
        sys.exit("Keras is not installed: pip install tensorflow")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        print(f"{machine()}; importing took {prepare(Path(given.images) / ARCHIVE, work):.1f} s", flush=True)
        seconds: dict[str, list[float]] = {"hpcjobs, 2 ranks": [], "Keras": []}
        for turn in range(given.turns):
            seconds["hpcjobs, 2 ranks"].append(ours(work, given.epochs, turn))
            seconds["Keras"].append(keras(work, given.epochs, turn, given.threads)["seconds"])
        for name, found in seconds.items():
            if found:
                rate = given.epochs * STEPS * BATCH / statistics.median(found)
                print(f"  {name:18} {statistics.median(found):6.1f} s, {rate:5.1f} images/s, median of {len(found)}")
        if given.turns:
            mine, theirs = (statistics.median(found) for found in seconds.values())
            print(f"  {theirs / mine:.2f} times Keras' speed, start and validation included", flush=True)
        for seed in range(1, given.seeds + 1):
            found = keras(work, 15, seed, given.threads)
            print(
                f"  Keras, 15 epochs, seed {seed}: accuracy {found['accuracy']:.4f}, {found['seconds']:.0f} s",
                flush=True,
            )


def prepare(archive: Path, work: Path) -> float:
    """Import and split; JPEG files of the same split in folders for Keras. Seconds of the import."""
    begun = time.perf_counter()
    hpcjobs(work, "data", "import", str(archive), "pets.h5", "--size", f"{SIDE}x{SIDE}")
    took = time.perf_counter() - begun
    hpcjobs(work, "data", "split", "pets.h5", "--test", "0.2", "--stratify")
    import h5py

    with tarfile.open(archive) as tar:
        tar.extractall(work / "all", filter="data")
    (top,) = (path for path in (work / "all").iterdir() if path.is_dir())
    for part in ("train", "test"):
        with h5py.File(work / f"pets-{part}.h5") as file:
            for name in (raw.decode() for raw in file["data/id"][:]):
                (work / part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(top / name, work / part / name)
    return took


def ours(work: Path, epochs: int, turn: int) -> float:
    begun = time.perf_counter()
    hpcjobs(
        work, "run", "cnn", str(EXAMPLE), "--data", "pets-train.h5", "--validation", "pets-test.h5", "--epochs",
        str(epochs), "--out", f"run-{turn}", "-n", "2",
    )  # fmt: skip
    return time.perf_counter() - begun


def keras(work: Path, epochs: int, seed: int, threads: int) -> dict[str, float]:
    command = [
        sys.executable, str(Path(__file__)), "--side", str(work), "--epochs", str(epochs), "--seeds", str(seed),
        "--threads", str(threads),
    ]  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return {"seconds": time.perf_counter() - begun, "accuracy": float(json.loads(done.stdout.splitlines()[-1]))}


def by_keras(work: Path, epochs: int, seed: int, threads: int) -> None:
    """The script as it is usually written; prints the accuracy on the images held back."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    import tensorflow
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    begin: dict[str, Any] = {"activation": "relu", "kernel_initializer": "he_normal"}
    blocks = [
        layer for filters in (32, 64, 128, 128)
        for layer in (layers.Conv2D(filters, 3, **begin), layers.MaxPooling2D())
    ]  # fmt: skip
    head = [layers.Flatten(), layers.Dense(512, **begin), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([layers.Input((SIDE, SIDE, 3)), *blocks, *head])
    course = keras.optimizers.schedules.CosineDecay(5e-4, epochs * STEPS)
    model.compile(keras.optimizers.Adam(course), loss="binary_crossentropy", metrics=["accuracy"])
    changed = ImageDataGenerator(
        rescale=1 / 255, rotation_range=15, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.2,
        horizontal_flip=True,
    )  # fmt: skip
    how: dict[str, Any] = {"target_size": (SIDE, SIDE), "batch_size": BATCH, "class_mode": "binary"}
    train = changed.flow_from_directory(work / "train", seed=seed, **how)
    test = ImageDataGenerator(rescale=1 / 255).flow_from_directory(work / "test", shuffle=False, **how)
    # 1,600 images are 50 batches: two passes are one epoch of ours.
    seen = model.fit(train, epochs=2 * epochs, validation_data=test, validation_freq=2, verbose=0)
    accuracy = seen.history["val_accuracy"][-1]
    print(json.dumps(accuracy))


def hpcjobs(work: Path, *argv: str) -> None:
    env = {name: value for name, value in os.environ.items() if name not in THREADS}
    env["XDG_STATE_HOME"] = str(work / "state")
    done = subprocess.run(
        [sys.executable, "-m", "hpcjobs", *argv], cwd=work, env=env, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"hpcjobs {argv[0]} {argv[1]} failed: {done.stderr[-2000:]}")


if __name__ == "__main__":
    clean_start(cores=2)
    main()
