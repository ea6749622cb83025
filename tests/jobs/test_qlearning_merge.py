"""Runs that are added up: counts are the sums, values those of all of them, in any order; others are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs.in_threads import run_on
from numpy.typing import NDArray

from hpcjobs.cli import merge
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs import qlearning
from hpcjobs.runs.story import arrays, tell

WAREHOUSE = Path(__file__).parents[2] / "examples" / "warehouse.py"
RUNS: dict[str, dict[str, object]] = {
    "lake1": {"env": "FrozenLake", "seed": 1},
    "lake2": {"env": "FrozenLake", "seed": 2, "algorithm": "counts"},
    "lake3": {"env": "FrozenLake", "seed": 3, "gamma": 0.9},
    "walk4": {"env": "CliffWalking", "seed": 4},
    "house5": {"env": f"{WAREHOUSE}:Warehouse", "seed": 5},
    "house6": {"env": f"{WAREHOUSE}:Warehouse", "seed": 6},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("merge")
    for name, flags in RUNS.items():
        run_on(qlearning, made, name=name, steps=10_000, **flags)
    return made


def merged(folder: Path, out: Path, *names: str) -> dict[str, NDArray[Any]]:
    assert merge.main([*(str(folder / name) for name in names), "-o", str(out)]) == 0
    return arrays(out)


def test_counts_are_added_up_and_the_values_are_better(folder: Path, tmp_path: Path) -> None:
    both = merged(folder, tmp_path / "both.h5", "lake1", "lake2")
    one, two = (arrays(folder / name / "result.h5") for name in ("lake1", "lake2"))
    np.testing.assert_array_equal(both["counts"], one["counts"] + two["counts"])
    np.testing.assert_array_equal(both["visits"], both["counts"].sum(axis=2))
    assert both["steps"] == one["steps"] + two["steps"]
    assert both["seeds"].tolist() == [1, 2]
    assert both["error"] < one["error"]
    # Each value is the mean over what was counted, of reward and what follows: no other q is.
    acts, after = both["acts"] == 1, both["counts"] / np.maximum(both["visits"], 1)[..., None]
    assert (after[acts].sum(axis=2).round(12) == 1).all()
    story = tell(tmp_path / "both.h5")
    assert [Path(entry["name"]).parent.name for entry in story["inputs"]] == ["lake1", "lake2"]
    assert story["settings"]["algorithm"] == "counts"


def test_the_order_does_not_matter_and_a_sum_can_be_added_to(folder: Path, tmp_path: Path) -> None:
    for number, names in enumerate((("house5", "house6"), ("house6", "house5"))):
        merged(folder, tmp_path / f"{number}.h5", *names)
    assert tell(tmp_path / "0.h5")["digest"] == tell(tmp_path / "1.h5")["digest"]
    found = arrays(tmp_path / "0.h5")
    one, two = (arrays(folder / name / "result.h5") for name in ("house5", "house6"))
    np.testing.assert_array_equal(found["visits"], one["visits"] + two["visits"])
    np.testing.assert_array_equal(found["visits"], found["counts"].sum(axis=2))
    assert (found["outcomes_seen"] >= np.maximum(one["outcomes_seen"], two["outcomes_seen"])).all()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("lake1", "lake1"), "--seed 1 is there twice"),
        (("lake1", "lake3"), "its gamma is 0.9"),
        (("lake1", "walk4"), "the environment is another one"),
        (("lake1", "house5"), "the environment is another one"),
    ],
)
def test_runs_that_cannot_be_added_up_are_named(
    folder: Path, tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        merged(folder, tmp_path / "out.h5", *names)
    assert not (tmp_path / "out.h5").exists()


def test_one_run_is_not_enough_and_files_stay(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least two"):
        merged(folder, tmp_path / "out.h5", "lake1")
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(SettingsError, match="exists already"):
        merged(folder, tmp_path / "out.h5", "lake1", "lake2")
