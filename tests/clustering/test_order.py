"""Order statistics over ranks: NumPy's, to the bit, for any values and any dealing."""

from collections.abc import Iterator

import numpy as np
import pytest
from clustering.tables import deal
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.clustering.order import order_statistics, quantiles
from hpcjobs.parallel.communicator import Communicator

Floats = NDArray[np.float64]
SHARES = (0.0, 0.1, 0.25, 0.5, 0.7, 0.75, 1.0)


def awkward(rows: int) -> Floats:
    """Ties, both signs and zeros, denormal and huge values, one value alone."""
    draw = np.random.default_rng(rows)
    return np.stack(
        [
            draw.normal(size=rows),
            draw.integers(-2, 3, size=rows).astype(np.float64),
            draw.choice([-5e-324, 0.0, 5e-324, -1e-310, 1e-310], size=rows),
            draw.choice([-1e140, 1e140, -1.0, 1.0, np.nextafter(1.0, 2.0)], size=rows),
            np.full(rows, -3.5),
        ],
        axis=1,
    )


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("rows", [1, 2, 5, 700])
def test_values_at_places_are_those_of_sorting(rows: int, ranks: int) -> None:
    points = awkward(rows)
    places = sorted({0, rows // 3, rows // 2, rows - 1})

    def one(communicator: Communicator) -> Floats:
        own = deal(points, communicator=communicator).points

        def blocks() -> Iterator[Floats]:
            yield from (own[start : start + 50] for start in range(0, len(own), 50))  # type: ignore[misc]

        return order_statistics(blocks, points.shape[1], places, communicator)

    for found in on_ranks(ranks, one):
        np.testing.assert_array_equal(found, np.sort(points, axis=0)[places])


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 11, 500])
def test_quantiles_are_those_of_numpy(rows: int, dtype: str) -> None:
    values = awkward(rows)[:, [0, 1, 4]] * 20
    points = (np.abs(values) if dtype == "uint8" else values).astype(dtype)
    expected = np.quantile(points.astype(np.float64), SHARES, axis=0)
    for ranks in (1, 4):

        def one(communicator: Communicator) -> Floats:
            own = deal(points, communicator=communicator).points
            return quantiles(lambda: iter([np.asarray(own)]), 3, rows, SHARES, communicator)

        for found in on_ranks(ranks, one):
            np.testing.assert_array_equal(found, expected)
