"""A k-means result, as its user finds it: right by scikit-learn, consistent in itself, joined to the user's rows."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import hpcjobs, story
from numpy.typing import NDArray
from sklearn.cluster import KMeans


def write(path: Path, **arrays: NDArray[Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def cluster(folder: Path, clusters: int, *flags: object) -> dict[str, NDArray[Any]]:
    """Run on two ranks; the arrays of /result."""
    out = folder / "run"
    hpcjobs(folder, "run", "kmeans", "--data", "d.h5:/x", "--clusters", clusters, "-n", 2, "--out", out, *flags)
    with h5py.File(out / "result.h5") as file:
        return {name: item[()] for name, item in file["result"].items()}


def distances(rows: NDArray[Any], centres: NDArray[Any]) -> NDArray[np.longdouble]:
    """Squared distances (rows, clusters) in extended precision."""
    difference = rows[:, None].astype(np.longdouble) - centres[None].astype(np.longdouble)
    return np.asarray((difference * difference).sum(axis=2))


@pytest.mark.parametrize("kind", ["f4", "f8", "u1"])
def test_equals_scikit_learn_from_the_same_start(tmp_path: Path, kind: str) -> None:
    draw = np.random.default_rng(1)
    rows = (draw.normal(size=(1500, 6)) * 12 + draw.integers(0, 5, size=(1500, 1)) * 40).clip(0, 255).astype(kind)
    start = rows[:8].astype(np.float64)
    write(tmp_path / "d.h5", x=rows, c=start)
    found = cluster(tmp_path, 8, "--init", "d.h5:/c", "--tolerance", 1e-4)
    theirs = KMeans(8, init=start, n_init=1, algorithm="lloyd", tol=1e-4).fit(rows.astype(np.float64))
    assert found["iterations"] == theirs.n_iter_
    assert (found["labels"] == theirs.labels_).all()
    np.testing.assert_allclose(found["centres"], theirs.cluster_centers_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["inertia"], theirs.inertia_, rtol=1e-9)


def test_weights_are_those_of_scikit_learn(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    rows, weights = draw.normal(size=(800, 4)), draw.random(800)
    weights[:50] = 0
    write(tmp_path / "d.h5", x=rows, c=rows[100:105], w=weights)
    found = cluster(tmp_path, 5, "--init", "d.h5:/c", "--weights", "d.h5:/w")
    theirs = KMeans(5, init=rows[100:105], n_init=1, algorithm="lloyd").fit(rows, sample_weight=weights)
    assert (found["labels"] == theirs.labels_).all()
    np.testing.assert_allclose(found["inertia"], theirs.inertia_, rtol=1e-9)


@pytest.mark.parametrize("tolerance", [0, 1e-2])
def test_labels_centres_counts_and_inertia_agree(tmp_path: Path, tolerance: float) -> None:
    rows = np.random.default_rng(3).normal(size=(1200, 5)) + 1e8
    write(tmp_path / "d.h5", x=rows)
    found = cluster(tmp_path, 7, "--tolerance", tolerance, "--max-iterations", 40)
    squared = distances(rows, found["centres"])
    assert (found["labels"] == squared.argmin(axis=1)).all()
    np.testing.assert_allclose(float(squared.min(axis=1).sum()), found["inertia"], rtol=1e-12)
    assert (found["counts"] == np.bincount(found["labels"], minlength=7)).all()
    if tolerance == 0 and found["converged"]:
        means = np.array([rows[found["labels"] == j].astype(np.longdouble).mean(axis=0) for j in range(7)])
        np.testing.assert_allclose(means.astype(np.float64), found["centres"], rtol=1e-15)


def test_as_many_clusters_as_rows_leave_no_distance(tmp_path: Path) -> None:
    rows = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    write(tmp_path / "d.h5", x=rows)
    found = cluster(tmp_path, 60)
    assert sorted(found["labels"]) == list(range(60))
    assert found["inertia"] == 0


def test_more_clusters_than_distinct_rows_leave_some_empty(tmp_path: Path) -> None:
    rows = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0], [9.0, 1.0]]), 10, axis=0)
    write(tmp_path / "d.h5", x=rows)
    found = cluster(tmp_path, 5)
    assert found["inertia"] == 0
    assert (found["counts"] > 0).sum() == 3
    assert len({tuple(centre) for centre in found["centres"][found["counts"] > 0]}) == 3


def test_rows_left_out_have_no_label_and_no_say(tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    rows = draw.normal(size=(300, 4))
    holes = draw.random(300) < 0.1
    broken = rows.copy()
    broken[holes, 2] = np.nan
    write(tmp_path / "d.h5", x=broken, c=rows[~holes][:4])
    found = cluster(tmp_path, 4, "--init", "d.h5:/c", "--missing", "omit")
    theirs = KMeans(4, init=rows[~holes][:4], n_init=1, algorithm="lloyd").fit(rows[~holes])
    assert (found["labels"][holes] == -1).all()
    assert (found["labels"][~holes] == theirs.labels_).all()
    assert found["counts"].sum() == (~holes).sum()


def test_the_best_of_many_starts_wins(tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    rows = (draw.integers(0, 12, size=(600, 1)) * 10 + draw.normal(size=(600, 2))).astype(np.float32)
    write(tmp_path / "d.h5", x=rows)
    inertia = [float(cluster(tmp_path / made, 12, "--init", "random", "--seed", 3, "--restarts", restarts)["inertia"])
               for restarts, made in ((1, copy(tmp_path, "one")), (8, copy(tmp_path, "eight")))]  # fmt: skip
    assert inertia[1] < inertia[0]


def copy(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    (folder / name / "d.h5").write_bytes((folder / "d.h5").read_bytes())
    return name


def test_results_join_back_to_the_users_rows(tmp_path: Path) -> None:
    lines = ["name,a,b"] + [f"sample-{number:03d},{number % 3 * 10},{number % 3}" for number in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    hpcjobs(tmp_path, "data", "import", "t.csv", "t.h5", "--id", "name")
    hpcjobs(tmp_path, "run", "kmeans", "--data", "t.h5", "--clusters", 3, "--out", "run")
    with h5py.File(tmp_path / "run" / "result.h5") as file:
        labels = dict(zip(file["result/id"].asstr()[:], file["result/labels"][:], strict=True))
    assert len(labels) == 30
    for number in range(30):
        assert labels[f"sample-{number:03d}"] == labels[f"sample-{number % 3:03d}"]
    assert len(set(labels.values())) == 3
    assert story(tmp_path, "run")["inputs"][0]["name"] == f"{tmp_path}/t.h5:/data/x"
