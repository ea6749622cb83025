"""Generated blobs: the same bytes from any number of ranks, and the statistics that the recipe promises."""

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.stats

from hpcjobs.data.generate import BLOCK_ROWS, CUBE, Blobs, generate_blobs
from hpcjobs.data.inspect import describe_file, verify_file
from hpcjobs.errors import SettingsError
from hpcjobs.parallel.shards import Span, piece

ROWS = 3 * BLOCK_ROWS + 17
GOLDEN_LABELS = [1, 0, 1, 0, 0, 1, 1, 1, 0]
GOLDEN_POINTS = "61757f28a293171bcacbc3cfd5cfdc145ea371a870df4ae690fb907983df7d62"
GOLDEN_MEANS = "f69962abbb5d60131da2b2cfa2ed237933d9334ff750e5604b0ee766bce3cb20"


def points(blobs: Blobs, start: int, stop: int) -> np.ndarray:
    return np.concatenate([*blobs.points(Span(start, stop)), np.empty((0, blobs.columns), blobs.dtype)])


def labels(blobs: Blobs) -> np.ndarray:
    return np.concatenate(list(blobs.labels(Span(0, blobs.rows))))


@pytest.fixture
def written(tmp_path: Path) -> dict[str, np.ndarray]:
    generate_blobs(tmp_path / "a.h5", ROWS, 5, 7, 3)
    with h5py.File(tmp_path / "a.h5") as file:
        return {name: item[()] for name, item in file["data"].items()}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_ranks_makes_the_same_rows(ranks: int, dtype: str) -> None:
    blobs = Blobs(ROWS, 5, 7, 3, dtype)
    runs = [piece(4, ranks, rank) for rank in range(ranks)]
    parts = [points(blobs, min(ROWS, r.start * BLOCK_ROWS), min(ROWS, r.stop * BLOCK_ROWS)) for r in runs]
    assert np.concatenate(parts).tobytes() == points(blobs, 0, ROWS).tobytes()


def test_more_rows_begin_with_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = points(Blobs(100, 5, 7, 3), 0, 100)
    np.testing.assert_array_equal(points(Blobs(ROWS, 5, 7, 3), 0, ROWS)[:100], fewer)
    monkeypatch.setattr("hpcjobs.data.generate.VALUES_AT_A_TIME", 12)  # two rows at a time
    np.testing.assert_array_equal(points(Blobs(100, 5, 7, 3), 0, 100), fewer)


def test_the_bytes_of_a_small_set_are_these_for_ever() -> None:
    """Golden: a change here breaks every published result that names a recipe."""
    blobs = Blobs(9, 3, 2, 42)
    assert labels(blobs).tolist() == GOLDEN_LABELS
    assert hashlib.sha256(points(blobs, 0, 9).tobytes()).hexdigest() == GOLDEN_POINTS
    assert hashlib.sha256(blobs.means().tobytes()).hexdigest() == GOLDEN_MEANS


def test_the_file_holds_the_points_and_the_true_answer(written: dict[str, np.ndarray]) -> None:
    blobs = Blobs(ROWS, 5, 7, 3)
    np.testing.assert_array_equal(written["x"], points(blobs, 0, ROWS))
    np.testing.assert_array_equal(written["y"], labels(blobs))
    np.testing.assert_array_equal(written["centre"], blobs.means())
    np.testing.assert_array_equal(written["id"], np.arange(ROWS))
    assert (written["x"].dtype, written["y"].dtype) == ("float32", "int32")


def test_seed_rows_and_labels_are_independent_of_each_other() -> None:
    one, other = (points(Blobs(500, 5, 7, seed), 0, 500) for seed in (1, 2))
    assert not np.isin(one, other).any()
    assert len(np.unique(one)) == one.size


def test_close_to_its_centre_every_row_is_nearest_to_it() -> None:
    blobs = Blobs(2000, 4, 12, 9, spread=0.01)
    distances = np.linalg.norm(points(blobs, 0, 2000)[:, None] - blobs.means(), axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), labels(blobs))


def test_without_spread_rows_are_their_centres() -> None:
    blobs = Blobs(50, 3, 4, 0, "float64", 0.0)
    np.testing.assert_array_equal(points(blobs, 0, 50), blobs.means()[labels(blobs)])


def test_noise_is_standard_normal_labels_and_centres_are_uniform() -> None:
    blobs = Blobs(50_000, 4, 10, 1, "float64", 2.5)
    own = labels(blobs)
    noise = ((points(blobs, 0, blobs.rows) - blobs.means()[own]) / 2.5).ravel()
    n = noise.size  # the bounds are five standard errors of each moment
    assert abs(noise.mean()) < 5 / n**0.5
    assert abs(noise.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs(scipy.stats.skew(noise)) < 5 * (6 / n) ** 0.5
    assert abs(scipy.stats.kurtosis(noise)) < 5 * (24 / n) ** 0.5
    assert scipy.stats.kstest(noise, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 5 / n**0.5
    assert scipy.stats.chisquare(np.bincount(own, minlength=10)).pvalue > 1e-4
    centres = Blobs(1, 5, 4000, 1).means().ravel()
    assert np.abs(centres).max() < CUBE
    assert scipy.stats.kstest(centres, scipy.stats.uniform(-CUBE, 2 * CUBE).cdf).pvalue > 1e-4


def test_progress_counts_rows(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    generate_blobs(tmp_path / "a.h5", ROWS, 2, 3, 1, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (ROWS, ROWS)
    assert heard == sorted(heard)


def test_the_file_carries_its_recipe_and_is_whole(tmp_path: Path) -> None:
    generate_blobs(tmp_path / "a.h5", 10, 2, 3, 1, "float64", 0.5)
    told = describe_file(tmp_path / "a.h5")
    flags = "--rows 10 --columns 2 --centres 3 --seed 1 --dtype float64 --spread 0.5"
    assert told["source"] == f"hpcjobs data generate blobs {flags}"
    assert verify_file(tmp_path / "a.h5")["record"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": 0}, "--rows 0: expected at least 1"),
        ({"columns": -1}, "--columns -1: expected at least 1"),
        ({"centres": 0}, "--centres 0: expected at least 1"),
        ({"centres": 2**31}, "--centres 2147483648: expected fewer than 2147483648"),
        ({"seed": -1}, "--seed -1: expected 0 or more"),
        ({"dtype": "uint8"}, "--dtype uint8: expected float32 or float64"),
        ({"spread": -0.1}, "--spread -0.1: expected a number from 0"),
        ({"spread": float("nan")}, "--spread nan: expected a number"),
        ({"spread": float("inf")}, "--spread inf: expected a number"),
    ],
)
def test_numbers_that_describe_no_data_are_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    recipe: dict[str, object] = {"rows": 10, "columns": 2, "centres": 3, "seed": 1} | changed
    with pytest.raises(SettingsError, match=message):
        generate_blobs(tmp_path / "a.h5", **recipe)
    assert not (tmp_path / "a.h5").exists()


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    generate_blobs(tmp_path / "a.h5", 10, 2, 3, 1)
    with pytest.raises(SettingsError, match="exists already"):
        generate_blobs(tmp_path / "a.h5", 20, 2, 3, 1)
    generate_blobs(tmp_path / "a.h5", 20, 2, 3, 1, force=True)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data/x"].shape == (20, 2)
