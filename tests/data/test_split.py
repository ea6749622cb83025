"""A split: exact counts, classes in their shares, groups in one piece, every row in one part and in its order."""

from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from data import samples_made

from hpcjobs.data.choosing import PARTS, TEST, Shares, apportion, choose
from hpcjobs.data.inspect import describe_file
from hpcjobs.data.recipe import Recipe
from hpcjobs.data.schema import texts
from hpcjobs.data.split import split
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import words

GOLDEN_TEST_ROWS = [2, 4, 5]


def parts_of(folder: Path, name: str = "a") -> dict[str, dict[str, np.ndarray]]:
    """What the parts of a split hold."""
    found = {part: folder / f"{name}-{part}.h5" for part in PARTS}
    return {part: samples_made.read(path) for part, path in found.items() if path.exists()}


@pytest.mark.parametrize("validation", [0.0, 0.15])
def test_every_row_is_in_one_part_with_all_that_belongs_to_it(tmp_path: Path, validation: float) -> None:
    held = samples_made.ours(tmp_path / "a.h5")
    made = split(str(tmp_path / "a.h5"), Recipe(test=0.2, validation=validation, seed=4))
    parts = parts_of(tmp_path)
    assert [len(parts[part]["id"]) for part in parts] == [160, 40] if not validation else [130, 40, 30]
    rows = {part: np.flatnonzero(np.isin(held["id"], found["id"])) for part, found in parts.items()}
    np.testing.assert_array_equal(np.sort(np.concatenate([*rows.values()])), np.arange(200))
    for part, found in parts.items():
        for name, array in held.items():
            np.testing.assert_array_equal(found[name], array[rows[part]])  # in the order of the source
        np.testing.assert_array_equal(found["class_name"], texts(samples_made.CLASSES))
    assert str(made[1]).startswith(f"{tmp_path}/a-test.h5: 40 rows (20.0 %); rows by class: ant: ")


def test_the_parts_tell_where_they_come_from(tmp_path: Path) -> None:
    samples_made.ours(tmp_path / "a.h5")
    split(str(tmp_path / "a.h5"), Recipe(test=0.2, by="patient", seed=4))
    with h5py.File(tmp_path / "a-test.h5") as file:
        root = dict(file.attrs)
    assert root["source"] == b"hpcjobs data split a.h5 --test 0.2 --by patient --seed 4"
    assert root["part"] == b"test"
    assert root["source_digest"].decode() == describe_file(tmp_path / "a.h5")["file_digest"]


def test_the_rows_of_lowest_key_are_the_test_for_ever() -> None:
    """Golden: a change here would mix rows to test with among those of published models."""
    part = choose(9, Shares(0.3), 42)
    assert np.flatnonzero(part == TEST).tolist() == sorted(np.argsort(words(42, "data split", 0, 9))[:3])
    assert np.flatnonzero(part == TEST).tolist() == GOLDEN_TEST_ROWS


def largest_remainder(counts: list[int], total: int) -> list[int]:
    """Hamilton's method in exact fractions, written down once more."""
    quotas = [Fraction(count * total, sum(counts)) for count in counts]
    found = [int(quota) for quota in quotas]
    rest = sorted(range(len(counts)), key=lambda index: (-(quotas[index] - found[index]), index))
    for index in rest[: total - sum(found)]:
        found[index] += 1
    return found


@pytest.mark.parametrize("seed", range(5))
def test_classes_keep_their_shares_by_largest_remainder(seed: int) -> None:
    draw = np.random.default_rng(seed)
    classes = draw.choice(7, size=400, p=[0.4, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03])
    counts = np.bincount(classes, minlength=7).tolist()
    part = choose(400, Shares(0.23, 0.11), seed, classes)
    test = np.bincount(classes[part == 1], minlength=7).tolist()
    assert test == largest_remainder(counts, 92)
    left = [count - taken for count, taken in zip(counts, test, strict=True)]
    assert np.bincount(classes[part == 2], minlength=7).tolist() == largest_remainder(left, 44)


def test_the_sums_are_exact_however_many_small_classes_there_are() -> None:
    counts = np.full(1000, 2)
    assert apportion(counts, 400, 300).sum(axis=0).tolist() == [400, 300]
    assert (apportion(counts, 400, 300).sum(axis=1) <= counts).all()


@pytest.mark.parametrize(("test", "validation"), [(0.2, 0.0), (0.3, 0.2), (0.05, 0.9)])
def test_a_group_is_never_divided_and_shares_are_met_as_near_as_groups_allow(test: float, validation: float) -> None:
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(50), draw.integers(1, 20, size=50))
    draw.shuffle(groups)
    part = choose(len(groups), Shares(test, validation), 3, groups=groups)
    for group in range(50):
        assert len(np.unique(part[groups == group])) == 1
    for number, share in ((1, test), (2, validation)):
        assert abs((part == number).sum() - share * len(groups)) <= 20


def test_groups_of_one_class_each_are_stratified(tmp_path: Path) -> None:
    held = samples_made.ours(tmp_path / "a.h5")
    patients = np.array([f"{kind}-{row // 5 % 4}".encode() for row, kind in enumerate(held["y"])])
    part = choose(200, Shares(0.25), 0, held["y"], patients, "patient")
    assert all(len(np.unique(part[patients == patient])) == 1 for patient in np.unique(patients))
    assert np.bincount(held["y"][part == 1], minlength=3).tolist() == [20, 20, 10]


def test_as_few_groups_as_parts_give_each_part_one() -> None:
    part = choose(30, Shares(0.1, 0.1), 0, groups=np.repeat(["a", "b", "c"], 10))
    assert np.bincount(part).tolist() == [10, 10, 10]


def test_a_column_may_say_where_each_row_goes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/x"] = np.arange(12.0).reshape(6, 2)
        file["g/part"] = texts(["test", "train", "train", "validation", "test", "train"])
        file["g/scan"] = np.array([1, 2, 2, 3, 1, 2])
        file["g/bad"] = np.array([1, 2, 2, 3, 3, 2])
    source = f"{tmp_path}/a.h5:/g/x"
    split(source, Recipe(parts="part", by="scan"))
    parts = parts_of(tmp_path)
    assert {part: found["id"].tolist() for part, found in parts.items()} == {
        "train": [1, 2, 5],
        "test": [0, 4],
        "validation": [3],
    }
    with pytest.raises(DataError, match=r"--by bad: group 3 has rows in test and validation by --parts part .1 such"):
        split(source, Recipe(parts="part", by="bad"), force=True)


@pytest.mark.mpi(ranks=(2, 3))
def test_the_number_of_ranks_is_no_matter_for_the_bytes(communicator: Communicator, tmp_path: Path) -> None:
    folder = Path(communicator.bcast_object(tmp_path))
    recipe = Recipe(test=0.4, validation=0.2, by="patient", seed=1)
    for place in ("one", "many"):
        if communicator.rank == 0:
            (folder / place).mkdir()
    communicator.barrier()
    if communicator.rank == 0:
        samples_made.ours(folder / "a.h5", 23)
        split(str(folder / "a.h5"), recipe, folder / "one")
    communicator.barrier()
    split(str(folder / "a.h5"), recipe, folder / "many", communicator=communicator)
    for part in PARTS:
        assert (folder / "many" / f"a-{part}.h5").read_bytes() == (folder / "one" / f"a-{part}.h5").read_bytes()
    with pytest.raises(SettingsError, match="exists already"):
        split(str(folder / "a.h5"), recipe, folder / "one", communicator=communicator)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "--test is missing: the share of the rows to hold back"),
        ({"test": 0.0}, "--test 0: expected a share of the rows between 0 and 1"),
        ({"test": 1.0}, "--test 1: expected a share"),
        ({"test": float("nan")}, "--test nan: expected a share"),
        ({"test": 0.2, "validation": -0.1}, "--validation -0.1: expected a share"),
        ({"test": 0.6, "validation": 0.4}, "are all there is; leave rows to train on"),
        ({"test": 0.001}, "--test 0.001 of 200 rows is not even one; it takes 0.005 or more"),
        ({"test": 0.999}, "leaves none to train on"),
        ({"test": 0.2, "seed": -1}, "--seed -1: expected 0 or more"),
        ({"test": 0.2, "by": "patent"}, "--by patent: .* did you mean 'patient'?"),
        ({"test": 0.2, "by": "position"}, "--by position: .*no data set of that name with one value a row"),
        ({"test": 0.2, "validation": 0.1, "by": "site"}, r"--by site: 2 group.s. for 3 parts"),
        ({"test": 0.2, "by": "patient", "stratify": True}, "group p0 holds rows of the classes 0, 1.* both sides"),
        ({"test": 0.2, "parts": "patient"}, "--parts says where each row goes"),
        ({"parts": "weights"}, "--parts weights: holds numbers; expected the words train, test, validation"),
        ({"parts": "patient"}, "holds 'p0' there; expected train, test, validation"),
    ],
)
def test_impossible_splits_are_refused_with_advice(tmp_path: Path, recipe: dict[str, object], message: str) -> None:
    held = samples_made.values(200)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in (held | {"site": np.arange(200) % 2}).items():
            file[f"d/{name}"] = array
    with pytest.raises((DataError, SettingsError), match=message):
        split(f"{tmp_path}/a.h5:/d/x", Recipe(**recipe))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([0] * 9 + [7]), "--stratify: class 7 has 1 of the rows for 2 parts; it takes one for each"),
        (np.linspace(0, 1, 10), "--stratify: /data/y holds real numbers"),
        (np.ones((10, 2), int), "--stratify y: .* one value a row"),
        (None, "--stratify y: .* no data set of that name"),
    ],
)
def test_classes_that_cannot_be_kept_in_their_shares_are_named(
    tmp_path: Path, y: np.ndarray | None, message: str
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["d/x"] = np.ones((10, 2))
        if y is not None:
            file["d/y"] = y
    with pytest.raises(SettingsError, match=message):
        split(f"{tmp_path}/a.h5:/d/x", Recipe(test=0.2, stratify=True))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
