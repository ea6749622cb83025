"""Mistakes with images, labels, networks and batches are found before any work, each with one clear message."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import refused

from hpcjobs.errors import UserError
from hpcjobs.jobs.cnn import Settings, check
from hpcjobs.nn.augmentation import Augmentation


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with labels of every wrong kind."""
    path = tmp_path_factory.mktemp("bad") / "d.h5"
    draw = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, shape in {
            "x": (40, 12, 12, 3),
            "small": (40, 2, 2, 3),
            "other": (40, 12, 12, 1),
            "flat": (40, 64),
        }.items():
            file[f"{name}/x"] = draw.random(size=shape).astype(np.float32)
            file[f"{name}/y"] = np.arange(40) % 3
        file["bare/x"] = draw.random(size=(40, 8, 8, 1)).astype(np.float32)
        file["text"] = np.array([b"cat"] * 40)
        file["deep"] = np.zeros((40, 4, 4, 7))
        holes = draw.random(size=(40, 8, 8, 1)).astype(np.float32)
        holes[17, 3, 3] = np.nan
        file["holes/x"], file["holes/y"] = holes, np.arange(40) % 2
        file["one"], file["short"] = np.full(40, 2), np.arange(39)
        file["negative"], file["halves"] = np.arange(40) - 1, np.arange(40) / 2
        file["nan"] = np.where(np.arange(40) == 5, np.nan, 1.0)
        file["beyond/x"], file["beyond/y"] = (
            draw.random(size=(5, 12, 12, 3)).astype(np.float32),
            np.array([0, 1, 2, 3, 1]),
        )
        file["sparse/x"], file["sparse/y"] = file["x/x"][()], np.arange(40) % 2 * 3 + 1
        file["twice/x"], file["twice/y"] = file["x/x"][()], np.arange(40) % 3
        file["twice/class_name"] = np.array([b"cat", b"dog", b"cat"])
        file["long"] = draw.integers(0, 9, size=(40, 12, 12, 3))
        file["complex"] = np.zeros((40, 4, 4), dtype=np.complex64)
        file["none/x"], file["none/y"] = np.zeros((0, 12, 12, 3)), np.zeros(0)
        file["wide"] = np.zeros((40, 2))
    (path.parent / "photos").mkdir()
    return path


LENET = {"network": "lenet", "batch_size": 8}
DENSE = [{"type": "flatten"}, {"type": "dense", "units": 3}]
CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "labels missing": ("bare/x", LENET, ["/bare", "y", "--labels"]),
    "one text only": ("x/x", {"labels": "text"}, ["/text", "all 40 labels are cat;", "two classes"]),
    "text as numbers": ("x/x", {"labels": "text", "loss": "mse"}, ["/text", "text", "needs numbers"]),
    "labels too few": ("x/x", {"labels": "short"}, ["/short", "39 labels", "40 images"]),
    "labels below 0": ("x/x", {"labels": "negative"}, ["/negative", "row 0 is -1", "0 to 65535"]),
    "labels no classes": ("x/x", {"labels": "halves"}, ["/halves", "row 1 is 0.5", "--loss mse"]),
    "labels not a number": ("x/x", {"labels": "nan"}, ["/nan", "row 5 is nan"]),
    "one class only": ("x/x", {"labels": "one"}, ["/one", "all 40 labels are 2", "two classes at least"]),
    "three classes for binary": ("x/x", LENET | {"loss": "binary"}, ["--loss binary", "3 classes"]),
    "image below the window": ("small/x", LENET, ["max_pool_2", "1 x 1", "2 x 2"]),
    "rows that are flat": ("flat/x", LENET, ["64 values", "--image-shape"]),
    "rows of another length": ("flat/x", LENET | {"image_shape": "8x9"}, ["8x9", "72", "64"]),
    "shape that is none": ("flat/x", LENET | {"image_shape": "big"}, ["'big'", "28x28"]),
    "channels that are none": ("deep", {}, ["/deep", "(4, 4, 7)", "--image-shape"]),
    "crop above the image": ("x/x", {"augmentation": Augmentation(crop="20x9")}, ["crop is 20x9", "12x12"]),
    "crop below the window": ("x/x", LENET | {"augmentation": Augmentation(crop="3x3")}, ["max_pool_2", "1 x 1"]),
    "memory of no bytes": ("x/x", LENET | {"memory": "0GB"}, ["--memory is 0"]),
    "batch above the data": ("x/x", LENET | {"batch_size": 48}, ["--batch-size is 48", "40 rows"]),
    "batch not divisible": ("x/x", LENET | {"batch_size": 20}, ["--batch-size is 20", "--shards 8", "16"]),
    "unknown preset": ("x/x", LENET | {"network": "resnet"}, ["--network", "'resnet'", "resnet20"]),
    "preset and layers": ("x/x", LENET | {"layers": DENSE}, ["--network", "[[layers]]"]),
    "unknown layer": ("x/x", {"layers": [{"type": "cnov"}]}, ["layer 1", "'cnov'", "'conv'"]),
    "layer without type": ("x/x", {"layers": [{"units": 3}]}, ["layer 1", "no type"]),
    "unknown key": ("x/x", {"layers": [*DENSE[:1], {"type": "dense", "unit": 3}]}, ["layer 2 (dense)", "unit"]),
    "wrong value": ("x/x", {"layers": [{"type": "conv", "filters": 0}]}, ["layer 1 (conv)", "filters", ">= 1"]),
    "dense without flatten": ("x/x", {"layers": DENSE[1:]}, ["dense_1", "12 x 12 x 3", "flatten"]),
    "conv of a line": ("x/x", {"layers": [*DENSE, {"type": "conv", "filters": 2}]}, ["conv_1", "needs an image"]),
    "wrong head": ("x/x", {"layers": [*DENSE[:1], {"type": "dense", "units": 7}]}, ["dense_1", "7", "3 classes"]),
    "names twice": ("x/x", {"layers": [{"type": "relu", "name": "a"}] * 2}, ["'a'", "once"]),
    "branches that differ": (
        "x/x",
        {"layers": [{"type": "residual", "layers": [{"type": "conv", "filters": 2}]}]},
        ["residual_1", "10 x 10 x 2", "12 x 12 x 3"],
    ),
    "validation of other images": (
        "x/x",
        LENET | {"validation": "other/x"},
        ["/other/x", "12 x 12 x 1", "12 x 12 x 3"],
    ),
    "validation of other classes": (
        "x/x",
        LENET | {"validation": "beyond/x"},
        ["/beyond/y", "row 3 is 3", "0 to 2", "tells 3 apart"],
    ),
    "a name of two classes": ("twice/x", LENET, ["/twice/class_name", "cat is the name of two classes"]),
    "numbers too long": ("long", LENET, ["/long", "int64", "hpcjobs data import", "--dtype float32"]),
    "no numbers": ("complex", LENET, ["/complex", "complex64", "not numbers"]),
    "no images": ("none/x", LENET, ["/none/x", "is empty"]),
    "labels of two axes": ("x/x", LENET | {"labels": "wide"}, ["/wide", "2 axes", "one value a row"]),
    "fewer images than shards": ("beyond/x", LENET, ["--batch-size is 8", "5 rows", "fewer --shards"]),
    "a network that leaves nothing to train": ("x/x", LENET | {"freeze": "9"}, ["--freeze 9", "conv_1", "dense_2"]),
    "nothing to stop early by": ("x/x", LENET | {"early_stopping": 2}, ["--early-stopping", "--validation"]),
}


@pytest.mark.parametrize("case", CASES)
def test_mistakes_are_named_before_any_work(data: Path, case: str) -> None:
    name, given, words = CASES[case]
    named = {key: f"{data}:/{value}" if key in ("labels", "validation") else value for key, value in given.items()}
    with pytest.raises(UserError) as found:
        check(Settings(data=f"{data}:/{name}", **named))
    for word in words:
        assert word in str(found.value), str(found.value)


@pytest.mark.parametrize("flag", ["--data", "--validation"])
def test_a_folder_of_images_to_train_on_leads_to_its_import(data: Path, flag: str) -> None:
    named = {"data": f"{data}:/x/x"} | {flag[2:]: f"{data.parent}/photos"}
    with pytest.raises(UserError, match=r"photos: images are read from an HDF5 file.*hpcjobs data import .*--size"):
        check(Settings(**LENET, **named))


def test_classes_without_an_image_are_told(data: Path) -> None:
    (note,) = check(Settings(data=f"{data}:/sparse/x", **LENET)).notes
    assert note == "warning: 3 of 5 classes have no image to train on: 0, 2, 3"
    assert check(Settings(data=f"{data}:/x/x", **LENET)).notes == ()


def test_images_that_their_preparation_makes_infinite_are_told_so(data: Path) -> None:
    flags = ("--network", "lenet", "--batch-size", 8, "--rescale", 1e300, "--out", "infinite")
    message = refused(data.parent, "run", "cnn", "--data", "d.h5:/x/x", *flags)
    assert "not finite are those of the images" in message and "take a smaller --rescale" in message


def test_an_image_that_holds_nan_is_named(data: Path) -> None:
    message = refused(data.parent, "run", "cnn", "--data", "d.h5:/holes/x", "--network", "lenet", "--batch-size", 40)
    assert "/holes/x: the image of row 17 holds NaN" in message


def test_a_learning_rate_that_diverges_stops_the_run_and_keeps_its_checkpoints(data: Path) -> None:
    flags = ("--network", "lenet", "--batch-size", 8, "--optimiser", "sgd", "--learning-rate", 1e12)
    run = ("run", "cnn", "--data", "d.h5:/x/x", "--out", "diverged", "--checkpoint-every", 1)
    message = refused(data.parent, *run, *flags)
    assert re.search(r"diverged at step \d+: .* of layer \w+.*learning rate of 1e\+12", message)
    for path in (data.parent / "diverged").glob("checkpoints/step-*.h5"):
        with h5py.File(path) as file:
            assert np.isfinite(file["state/parameters"][()]).all()


def test_predicting_rows_of_another_shape_is_refused(data: Path) -> None:
    from hpcjobs.data.source import locate_features
    from hpcjobs.jobs._predict import refuse_other_shape, row_shape

    source = locate_features(f"{data}:/x/x")
    found = row_shape(f"{data}:/x/x")
    assert found == (12, 12, 3)
    for fits in ((12, 12, 3), (432,)):
        refuse_other_shape(source, found, fits, data)
    refuse_other_shape(source, (12, 36), (12, 36, 1), data)
    with pytest.raises(UserError, match=r"12 x 12 x 3 a row.*rows of 12 x 3 x 12"):
        refuse_other_shape(source, found, (12, 3, 12), data)
