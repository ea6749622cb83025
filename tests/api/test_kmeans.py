"""`hpcjobs.KMeans`: an estimator as scikit-learn wants it, with the bits of the job on any number of ranks."""

import inspect
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import cluster
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hpcjobs


def blobs(rows: int = 300) -> NDArray[np.float64]:
    draw = np.random.default_rng(1)
    return draw.normal(size=(rows, 4)) + 6 * draw.integers(0, 4, size=(rows, 1))


@parametrize_with_checks([hpcjobs.KMeans(n_clusters=3)])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_equals_scikit_learn_from_the_same_start() -> None:
    rows = blobs()
    ours = hpcjobs.KMeans(4, init=rows[:4]).fit(rows)
    theirs = cluster.KMeans(4, init=rows[:4], n_init=1, algorithm="lloyd").fit(rows)
    assert (ours.labels_ == theirs.labels_).all()
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-12)
    np.testing.assert_allclose(ours.inertia_, theirs.inertia_, rtol=1e-12)
    np.testing.assert_allclose(ours.transform(rows), theirs.transform(rows), rtol=1e-9)
    assert (ours.predict(rows + 0.1) == theirs.predict(rows + 0.1)).all()
    np.testing.assert_allclose(ours.score(rows), theirs.score(rows), rtol=1e-12)


def test_weights_are_those_of_scikit_learn() -> None:
    rows, weights = blobs(), np.random.default_rng(2).random(300)
    ours = hpcjobs.KMeans(4, init=rows[:4]).fit(rows, sample_weight=weights)
    theirs = cluster.KMeans(4, init=rows[:4], n_init=1, algorithm="lloyd").fit(rows, sample_weight=weights)
    assert (ours.labels_ == theirs.labels_).all()
    np.testing.assert_allclose(ours.score(rows, sample_weight=weights), theirs.score(rows, sample_weight=weights))


def test_the_best_of_several_starts_is_kept() -> None:
    rows = blobs()
    one = [hpcjobs.KMeans(9, init="random", random_state=seed).fit(rows).inertia_ for seed in range(3)]
    many = hpcjobs.KMeans(9, init="random", n_init=12, random_state=0).fit(rows)
    assert many.inertia_ <= one[0]
    assert many.inertia_ == pytest.approx(-many.score(rows))
    assert (many.labels_ == many.predict(rows)).all()


@pytest.mark.parametrize("init", ["k-means++", "k-means-parallel", "random"])
def test_it_is_part_of_a_pipeline(init: str) -> None:
    found = make_pipeline(StandardScaler(), hpcjobs.KMeans(4, init=init, n_init=3)).fit_predict(blobs())
    assert len(np.unique(found)) == 4


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_clusters": 301}, "n_samples=300"),
        ({"n_clusters": 0}, "at least 1"),
        ({"init": "best"}, "k-means-parallel"),
        ({"init": np.zeros((2, 2))}, "shape"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hpcjobs.KMeans(**({"n_clusters": 3} | wrong)).fit(blobs())


def test_values_that_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match="overflow"):
        hpcjobs.KMeans(2).fit(np.array([[1e300], [0.0], [1.0]]))


def test_parameters_are_listed_once() -> None:
    assert set(hpcjobs.KMeans().get_params()) == set(inspect.signature(hpcjobs.KMeans).parameters)


@pytest.mark.mpi(ranks=(1, 2, 3, 4))
@pytest.mark.parametrize("batch", [0, 40])
def test_ranks_that_give_their_rows_get_the_bits_of_one_process(ranks: int, batch: int) -> None:
    from mpi4py import MPI

    comm, rows = MPI.COMM_WORLD, blobs(50)
    cuts = [0, *sorted({rank * 17 for rank in range(1, ranks)}), 50] if ranks < 4 else [0, 0, 17, 17, 50]
    mine = slice(cuts[comm.rank], cuts[comm.rank + 1])  # on four ranks two have no row
    alone = hpcjobs.KMeans(5, n_init=2, batch_size=batch).fit(rows)
    found = hpcjobs.KMeans(5, n_init=2, batch_size=batch, communicator=comm).fit(rows[mine])
    assert found.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert found.inertia_ == alone.inertia_
    assert (found.labels_ == alone.labels_[mine]).all()
