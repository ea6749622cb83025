"""The promise: a rank needs its slab and a fifth of it, from the first look at the rows to the inertia."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from clustering.tables import deal
from numpy.typing import NDArray

from hpcjobs.clustering import kmeans
from hpcjobs.clustering.oversampling import kmeans_parallel
from hpcjobs.clustering.quality import measure
from hpcjobs.clustering.start import kmeans_plus_plus, random_rows
from hpcjobs.clustering.table import Table, survey
from hpcjobs.data.source import locate_rows
from hpcjobs.data.streaming import Streamed
from hpcjobs.kernels.compiling import compile_for
from hpcjobs.parallel.randomness import Stream

Floats = NDArray[np.float64]
ROWS, FEATURES, CLUSTERS = 200_000, 32, 8


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    compile_for(np.dtype(np.float32), np.dtype(np.float32))
    points = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    yield deal(points)


def extra(action: Callable[[], object]) -> int:
    """Most bytes that `action` holds at any time (NumPy tells tracemalloc of its arrays)."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def whole_fit(table: Table, start: Callable[[Table, int, Stream], Floats]) -> None:
    low, high = table.points.min(axis=0).astype(float), table.points.max(axis=0).astype(float)
    ground = survey(table, low, high, None)
    labels = np.empty(len(table.points), dtype=np.int32)
    centres = start(table, CLUSTERS, Stream(0, "test"))
    centres[-2:] = centres[0]  # so that clusters are refilled
    for _ in range(2):
        totals = kmeans.assign(table, ground.grid, centres, labels)
        kmeans.refill(table, ground.grid, centres, labels, totals)
        centres = kmeans.move(ground.grid, totals, centres)
    kmeans.assign(table, ground.grid, centres, labels)
    kmeans.inertia(table, centres, labels)
    kmeans.count_members(table, labels, CLUSTERS)


@pytest.mark.parametrize("start", [kmeans_plus_plus, random_rows], ids=["k-means++", "random"])
def test_a_whole_fit_needs_at_most_a_fifth_more_than_the_slab(
    table: Table, start: Callable[[Table, int, Stream], Floats]
) -> None:
    assert extra(lambda: whole_fit(table, start)) < table.points.nbytes // 5


def test_beside_labels_only_kmeans_plus_plus_keeps_a_number_a_row(table: Table) -> None:
    """8 bytes a row while starting; elsewhere blocks only."""
    blocks = 2 * 2**20
    assert extra(lambda: kmeans_plus_plus(table, CLUSTERS, Stream(0, "test"))) < 8 * ROWS + blocks
    assert extra(lambda: random_rows(table, CLUSTERS, Stream(0, "test"))) < blocks
    labels = np.zeros(ROWS, dtype=np.int32)
    centres = np.zeros((CLUSTERS, FEATURES))
    assert extra(lambda: kmeans.inertia(table, centres, labels)) < blocks


def test_rows_in_their_file_need_blocks_and_a_few_numbers_a_row(table: Table, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = table.points
    block = 2**14
    with Streamed(locate_rows(f"{tmp_path}/d.h5:/x"), range(ROWS), block, lambda rows: rows, np.float32) as points:
        low, high = table.points.min(axis=0).astype(float), table.points.max(axis=0).astype(float)
        streamed = replace(table, points=points)

        def fit() -> None:
            grid = survey(streamed, low, high, None).grid
            labels = np.empty(ROWS, dtype=np.int32)
            centres = kmeans_parallel(streamed, grid, CLUSTERS, 0, 0)
            totals = kmeans.assign(streamed, grid, centres, labels)
            measure(streamed, grid, centres, labels, totals)

        # 20 bytes a row: a label, two numbers while measures are taken; three blocks of float32; 2 MiB for the rest.
        assert extra(fit) < 20 * ROWS + 4 * block * FEATURES * 4 + 2 * 2**20


def test_weights_are_multiplied_block_by_block(table: Table) -> None:
    weights = np.random.default_rng(1).random(ROWS)
    weighted = deal(table.points, weights)
    assert extra(lambda: kmeans_plus_plus(weighted, CLUSTERS, Stream(0, "test"))) < 8 * ROWS + 2 * 2**20
