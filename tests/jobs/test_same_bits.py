"""The result digest does not depend on ranks, BLAS kernel, implementation or restarts, only on data and settings."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from command import hpcjobs, story

HASWELL = {"OPENBLAS_CORETYPE": "Haswell"}
REFERENCE = {"HPCJOBS_KERNELS": "reference"}
CASES = {
    "float32": ("f4.h5:/x", ()),
    "float64": ("f8.h5:/x", ("--restarts", 2)),
    "uint8": ("u1.h5:/x", ("--init", "random")),
    "weights": ("f4.h5:/x", ("--weights", "f4.h5:/w")),
    "missing": ("f8.h5:/holes", ("--missing", "omit")),
    "given": ("f8.h5:/x", ("--init", "f8.h5:/c", "--tolerance", 0)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets with ties, duplicates, an offset and a constant feature; and the digest of each case on one rank."""
    made = tmp_path_factory.mktemp("same-bits")
    draw = np.random.default_rng(5)
    rows = draw.normal(size=(2003, 9)) + draw.integers(0, 3, size=(2003, 1)) * 4
    rows[:, 3] = 7.0
    rows[100:140] = rows[0]
    with h5py.File(made / "f4.h5", "w") as file:
        file["x"] = rows.astype(np.float32)
        file["w"] = draw.integers(0, 4, size=2003) / 3
    with h5py.File(made / "f8.h5", "w") as file:
        file["x"] = rows + 1e8
        file["c"] = rows[[5, 105, 205, 7, 1000, 1001]] + 1e8  # one of them twice: an empty cluster at once
        file["holes"] = np.where(draw.random(rows.shape) < 0.01, np.nan, rows)
    with h5py.File(made / "u1.h5", "w") as file:
        file["x"] = draw.integers(0, 6, size=(2003, 9)).astype(np.uint8)  # many ties
    for case in CASES:
        run(made, case, f"{case}-1")
    return made


def run(folder: Path, case: str, name: str, *flags: object, env: dict[str, str] | None = None) -> str:
    data, settings = CASES[case]
    hpcjobs(folder, "run", "kmeans", "--data", data, "--clusters", 6, *settings, "--out", name, *flags, env=env)
    return str(story(folder, name)["digest"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
def test_any_number_of_ranks(folder: Path, case: str, ranks: int) -> None:
    assert run(folder, case, f"{case}-{ranks}", "-n", ranks) == story(folder, f"{case}-1")["digest"]


@pytest.mark.parametrize("case", CASES)
def test_an_old_blas_kernel(folder: Path, case: str) -> None:
    digest = run(folder, case, f"{case}-haswell", env=HASWELL)
    told = story(folder, f"{case}-haswell")
    assert "Haswell" in told["ranks"][0]["blas"]
    assert digest == story(folder, f"{case}-1")["digest"]


@pytest.mark.parametrize("case", CASES)
def test_the_reference_kernels(folder: Path, case: str) -> None:
    assert run(folder, case, f"{case}-reference", env=REFERENCE) == story(folder, f"{case}-1")["digest"]


def test_more_ranks_than_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "few.h5", "w") as file:
        file["x"] = np.array([[0.0], [1.0], [10.0]])
    for ranks in (1, 5):
        hpcjobs(tmp_path, "run", "kmeans", "--data", "few.h5", "--clusters", 3, "-n", ranks, "--out", f"r{ranks}")
    told = story(tmp_path, "r5")
    assert told["digest"] == story(tmp_path, "r1")["digest"]
    assert told["result"]["inertia"] == 0.0
    assert sorted(told["result"]["labels"]) == [0, 1, 2]


def test_other_data_settings_and_seeds_have_other_digests(folder: Path) -> None:
    digests = {story(folder, f"{case}-1")["digest"] for case in CASES}
    digests.add(run(folder, "uint8", "uint8-seed", "--seed", 1))
    assert len(digests) == len(CASES) + 1
