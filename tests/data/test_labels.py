"""Images and labels that do not fit are refused with the file, what was found and what to do."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from data import samples_made

from hpcjobs.data.labels import as_classes, locate_images, locate_labels, read_labels
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import SerialCommunicator


def made(path: Path, x: np.ndarray | None = None, **labels: np.ndarray) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        file["d/x"] = np.zeros((6, 4, 5, 3), np.uint8) if x is None else x
        for name, values in labels.items():
            file[f"d/{name}"] = values
    return f"{path}/a.h5:/d/x"


def test_labels_lie_beside_the_images_or_where_they_are_said_to(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "ours.h5")
    images = locate_images(str(tmp_path / "ours.h5"))
    assert images.shape == (200, 5, 4, 3)
    labels = read_labels(locate_labels(images), SerialCommunicator())
    np.testing.assert_array_equal(labels, held["y"])
    assert as_classes(locate_labels(images), labels).dtype == np.int64
    weights = locate_labels(images, f"{tmp_path}/ours.h5:/data/weights")
    np.testing.assert_array_equal(read_labels(weights, SerialCommunicator()), held["weights"])


@pytest.mark.parametrize(
    ("held", "shape", "expected"),
    [((6, 4, 5, 3), None, (6, 4, 5, 3)), ((6, 4, 5), None, (6, 4, 5, 1)), ((6, 60), "4x5x3", (6, 4, 5, 3)),
     ((6, 20), "4x5", (6, 4, 5, 1))],
)  # fmt: skip
def test_images_have_height_width_and_channels(
    tmp_path: Path, held: tuple[int, ...], shape: str | None, expected: tuple[int, ...]
) -> None:
    assert locate_images(made(tmp_path, np.zeros(held, np.float32)), shape).shape == expected


@pytest.mark.parametrize(
    ("x", "shape", "kind", "told"),
    [
        (np.zeros((6, 60), np.uint8), None, DataError, "a row has 60 values and no height and width; name its --shape"),
        (np.zeros((6, 60), np.uint8), "4x4", SettingsError, "--shape 4x4: 16 values; a row of .* has 60"),
        (np.zeros((6, 4, 5, 7), np.uint8), None, DataError, r"a row has shape \(4, 5, 7\)"),
        (np.zeros((6, 4, 5), np.int64), None, DataError, "holds int64, images are of uint8, float32, float64; convert"),
    ],
)
def test_rows_that_are_no_images_are_refused(
    tmp_path: Path, x: np.ndarray, shape: str | None, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        locate_images(made(tmp_path, x), shape)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        (None, None, "its labels are expected beside it .*; name them: --labels FILE.h5:/path"),
        (np.zeros(5), None, "5 labels for the 6 images of .*; one for each is needed"),
        (np.array([0, 1, np.nan, 1, 0, 1]), None, "the label of row 2 is nan; expected a finite number"),
        (np.array([0, 1, 1.5, 2.5, 0, 1]), None, r"the label of row 2 is 1.5 \(and 1 more like it\); expected"),
        (np.array([0, 1, 1e300, 1, 0, 1]), None, "the label of row 2 is 1e[+]300; expected the number of a class"),
        (np.array([0, -1, 1, 0, 1, 1]), None, "the label of row 1 is -1; expected the number of a class, 0 to"),
        (np.array([0, 1, 1, 3, 1, 1]), 3, "the label of row 3 is 3; expected a class from 0 to 2: the network tells 3"),
        (np.ones(6, np.uint8), None, "all 6 labels are 1; a classifier needs examples of two classes at least"),
        (np.zeros((6, 2)), None, "has 2 axes"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(
    tmp_path: Path, labels: np.ndarray | None, classes: int | None, told: str
) -> None:
    images = locate_images(made(tmp_path, **({} if labels is None else {"y": labels})))
    with pytest.raises(DataError, match=told):
        source = locate_labels(images)
        as_classes(source, read_labels(source, SerialCommunicator()), classes)
