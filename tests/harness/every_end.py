"""A suite whose ranks end in every way there is: what `test_harness.py` looks at, not run by itself."""

import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpi4py import MPI

from hpcjobs.parallel.mpi import MPICommunicator

world = MPI.COMM_WORLD
three_ranks = pytest.mark.mpi(ranks=3)


@three_ranks
def test_passes(ranks: int) -> None:
    assert world.size == ranks == 3


@three_ranks
def test_fails_on_rank_1() -> None:
    assert world.rank != 1, "one is wrong"
    world.Barrier()


@three_ranks
def test_fails_on_rank_2_alone() -> None:
    print("words of rank", world.rank)
    assert world.rank != 2


@three_ranks
def test_hangs_on_rank_2() -> None:
    while world.rank == 2:
        time.sleep(0.1)
    MPICommunicator().barrier()


@three_ranks
def test_exits_on_rank_0() -> None:
    if world.rank == 0:
        os._exit(7)
    world.Barrier()


@three_ranks
def test_vanishes_on_rank_1() -> None:
    if world.rank == 1:
        os._exit(0)
    world.Barrier()


@three_ranks
def test_segfaults_on_rank_1() -> None:
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    world.Barrier()


@pytest.fixture
def broken_on_rank_1() -> Iterator[None]:
    yield
    assert world.rank != 1, "broken at the end"


@three_ranks
def test_fails_in_teardown_on_rank_1(broken_on_rank_1: None) -> None:
    pass


@three_ranks
def test_skips_on_all_ranks() -> None:
    pytest.skip("not today")


@three_ranks
def test_skips_on_rank_1() -> None:
    if world.rank == 1:
        pytest.skip("only here")


@three_ranks
@pytest.mark.xfail(strict=True)
def test_is_known_to_fail_on_rank_1() -> None:
    assert world.rank != 1


@three_ranks
@pytest.mark.skipif(True, reason="never")
def test_is_skipped_by_its_mark() -> None:
    pass


@three_ranks
def test_warns_on_rank_1() -> None:
    if world.rank == 1:
        warnings.warn("hot", stacklevel=1)


@pytest.mark.mpi(ranks=(1, 2))
@pytest.mark.parametrize("letter", ["a", "b"])
def test_shares_its_folder(tmp_path: Path, ranks: int, letter: str) -> None:
    (tmp_path / str(world.rank)).touch()
    world.Barrier()
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(rank) for rank in range(ranks)]


def test_needs_no_ranks(tmp_path: Path) -> None:
    assert not list(tmp_path.iterdir())


@pytest.mark.mpi(min_size=2)
def test_runs_last_of_all() -> None:
    assert world.size == 2
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
