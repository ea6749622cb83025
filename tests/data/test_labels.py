"""Images and labels that do not fit are refused with the file, what was found and what to do."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from data import samples_made

from hpcjobs.data.labels import as_classes, as_numbers, locate_images, locate_labels, own_classes, read_labels
from hpcjobs.errors import DataError, SettingsError


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
    labels = read_labels(locate_labels(images))
    np.testing.assert_array_equal(labels, held["y"])
    assert own_classes(locate_labels(images), labels)[0].dtype == np.int64
    weights = locate_labels(images, f"{tmp_path}/ours.h5:/data/weights")
    np.testing.assert_array_equal(read_labels(weights), held["weights"])


@pytest.mark.parametrize(
    ("held", "shape", "expected"),
    [((6, 4, 5, 3), None, (6, 4, 5, 3)), ((6, 4, 5), None, (6, 4, 5, 1)), ((6, 60), "4x5x3", (6, 4, 5, 3)),
     ((6, 20), "4x5", (6, 4, 5, 1)), ((6, 4, 5, 7), "4x5x7", (6, 4, 5, 7))],
)  # fmt: skip
def test_images_have_height_width_and_channels(
    tmp_path: Path, held: tuple[int, ...], shape: str | None, expected: tuple[int, ...]
) -> None:
    assert locate_images(made(tmp_path, np.zeros(held, np.float32)), shape).shape == expected


@pytest.mark.parametrize(
    ("x", "shape", "kind", "told"),
    [
        (
            np.zeros((6, 60), np.uint8),
            None,
            DataError,
            "a row has 60 values and no height and width; name its --image-shape",
        ),
        (np.zeros((6, 60), np.uint8), "4x4", SettingsError, "--image-shape 4x4: 16 values; a row of .* has 60"),
        (np.zeros((6, 4, 5, 7), np.uint8), None, DataError, r"a row has shape \(4, 5, 7\)"),
        (np.zeros((6, 4, 5), np.int64), None, DataError, "holds int64, images are of uint8, .*; convert"),
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
        (np.array([0, 1, np.nan, 1, 0, 1]), None, "the label of row 2 is nan; expected the number of a class"),
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
        own_classes(source, read_labels(source)) if classes is None else as_classes(
            source, read_labels(source), classes
        )


def classes_of(path: Path, *known: object, **labels: np.ndarray) -> tuple[object, ...]:
    """The first labels as classes, and their names; with a number of classes and names those of a network."""
    source = locate_labels(locate_images(made(path, **{"y": np.zeros(6), **labels})))
    found = read_labels(source)
    if not known:
        classes, names = own_classes(source, found)
        return classes.tolist(), names
    return (as_classes(source, found, *known).tolist(),)  # type: ignore[arg-type]


CATS, PETS = np.array([b"dog", b"cat"] * 3), np.array([b"cat", b"dog"])


def test_classes_may_be_numbers_with_names_truths_or_texts(tmp_path: Path) -> None:
    numbers = np.arange(6) % 2
    assert classes_of(tmp_path, y=numbers) == ([0, 1] * 3, ())
    assert classes_of(tmp_path, y=numbers == 1) == ([0, 1] * 3, ())
    assert classes_of(tmp_path, y=numbers, class_name=PETS) == ([0, 1] * 3, ("cat", "dog"))
    assert classes_of(tmp_path, y=CATS) == ([1, 0] * 3, ("cat", "dog"))


def test_other_files_are_matched_by_name(tmp_path: Path) -> None:
    known = (3, ("ant", "dog", "cat"))
    assert classes_of(tmp_path, *known, y=CATS) == ([1, 2] * 3,)
    assert classes_of(tmp_path, *known, y=np.ones(6, np.int64), class_name=PETS) == ([1] * 6,)
    assert classes_of(tmp_path, *known, y=np.ones(6, np.int64)) == ([1] * 6,)
    assert classes_of(tmp_path, 3, (), y=np.ones(6, np.int64), class_name=PETS) == ([1] * 6,)


@pytest.mark.parametrize(
    ("known", "labels", "told"),
    [
        ((2, ("ant", "bee")), {"y": CATS}, "the label of row 0 is dog .and 5 more like it.; expected one of ant, bee"),
        ((2, ()), {"y": CATS}, "holds text, and the network tells 2 apart by number only"),
        ((2, ("ant", "bee")), {"y": np.full(6, 2)}, "the label of row 0 is 2 .*; expected a class from 0 to 1"),
        ((), {"y": np.arange(6), "class_name": PETS}, "label of row 2 is 2 .*0 to 1, as /d/class_name names them"),
        ((), {"y": np.array([b"cat"] * 6)}, "all 6 labels are cat; a classifier"),
    ],
)  # fmt: skip
def test_names_that_do_not_fit_are_refused(
    tmp_path: Path, known: tuple[object, ...], labels: dict[str, np.ndarray], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        classes_of(tmp_path, *known, **labels)


def test_numbers_to_be_predicted_are_finite(tmp_path: Path) -> None:
    source = locate_labels(locate_images(made(tmp_path, y=np.zeros(6))))
    np.testing.assert_array_equal(as_numbers(source, np.arange(6) / 2), np.arange(6) / 2)
    for wrong, told in ((np.array([0, np.inf]), "row 1 is inf; expected a finite number"), (CATS, "holds text")):
        with pytest.raises(DataError, match=told):
            as_numbers(source, wrong)
