"""Agreement with known classes: that of scikit-learn, in whole numbers, on any number of ranks."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray
from sklearn import metrics

from hpcjobs.clustering import agreement
from hpcjobs.clustering.agreement import adjusted_rand, contingency, normalised_mutual_information, number_classes
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.shards import piece

Integers = NDArray[np.int64]


def counted(labels: Integers, values: Integers, communicator: Communicator | None = None) -> Integers:
    comm = communicator or SerialCommunicator()
    span = piece(len(labels), comm.size, comm.rank)
    classes = number_classes(values[span.start : span.stop], comm)
    return contingency(labels[span.start : span.stop].astype(np.int32), classes, int(labels.max()) + 1, comm)


CASES = {
    "unrelated": lambda draw: (draw.integers(4, size=200), draw.integers(7, size=200) * 1000),
    "the same": lambda draw: (np.arange(60) % 5, 8 - np.arange(60) % 5),
    "one cluster": lambda draw: (np.zeros(50, dtype=int), draw.integers(3, size=50)),
    "one class": lambda draw: (draw.integers(3, size=50), np.full(50, 9)),
    "one of both": lambda draw: (np.zeros(50, dtype=int), np.full(50, 9)),
    "each alone": lambda draw: (np.arange(40), np.arange(40)[::-1]),
    "one row": lambda draw: (np.zeros(1, dtype=int), np.zeros(1, dtype=int)),
    "near": lambda draw: (np.arange(300) // 100, (np.arange(300) + draw.integers(0, 15, size=300)) // 100),
}


@pytest.mark.parametrize("name", CASES)
def test_agreement_is_that_of_scikit_learn(name: str) -> None:
    labels, values = CASES[name](np.random.default_rng(1))
    counts = counted(labels, values)
    assert counts.sum() == len(labels)
    assert adjusted_rand(counts) == pytest.approx(metrics.adjusted_rand_score(values, labels), rel=1e-12, abs=1e-15)
    theirs = metrics.normalized_mutual_info_score(values, labels)
    assert normalised_mutual_information(counts) == pytest.approx(theirs, rel=1e-11, abs=1e-13)


def test_counts_are_the_same_on_any_number_of_ranks() -> None:
    draw = np.random.default_rng(2)
    labels, values = draw.integers(3, size=30), draw.integers(-1, 5, size=30) * 10
    seen = {
        found.tobytes()
        for ranks in (1, 2, 3, 4, 40)
        for found in on_ranks(ranks, lambda comm: counted(labels, values, comm))
    }
    assert len(seen) == 1


def test_rows_of_unknown_class_do_not_count() -> None:
    draw = np.random.default_rng(3)
    labels, values = draw.integers(3, size=90), draw.integers(-1, 3, size=90)
    known = values >= 0
    counts = counted(labels, values)
    assert counts.sum() == known.sum()
    assert adjusted_rand(counts) == pytest.approx(metrics.adjusted_rand_score(values[known], labels[known]))


def test_what_is_no_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "MOST_CLASSES", 10)
    labels = np.zeros(20, dtype=np.int64)
    with pytest.raises(DataError, match="--truth: more than 10 different values are no classes"):
        on_ranks(3, lambda comm: counted(labels, np.arange(20), comm))
    with pytest.raises(DataError, match="--truth: no row has a known class"):
        on_ranks(3, lambda comm: counted(labels, np.full(20, -1), comm))


def test_counts_beyond_float64_stay_exact() -> None:
    """Pairs of 2^40 rows are counted in Python's integers."""
    counts = np.array([[2**40, 1], [1, 2**40]])
    assert 0.999999 < adjusted_rand(counts) < 1.0
    assert 0.999999 < normalised_mutual_information(counts) < 1.0
