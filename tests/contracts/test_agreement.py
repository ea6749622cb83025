"""All ranks go on together or stop together with the same mistake; the first rank of a node goes first."""

import time
from pathlib import Path

import pytest

from hpcjobs.errors import DataError, LaunchError
from hpcjobs.parallel.communicator import Communicator, leader_first, on_all, on_root


def mistakes_of_all(communicator: Communicator, error: pytest.ExceptionInfo[Exception]) -> set[tuple[str, str]]:
    """Kind and text of the mistake that each rank saw."""
    return set(communicator.allgather_object((error.type.__name__, str(error.value))))


def root_acts_alone_and_all_get_its_value(communicator: Communicator, folder: Path) -> None:
    def act() -> dict[str, int]:
        (folder / f"root-{communicator.rank}").touch()
        return {"rows": 7}

    assert on_root(communicator, act) == {"rows": 7}
    communicator.barrier()
    assert [path.name for path in folder.iterdir()] == ["root-0"]


def mistake_of_the_root_is_raised_by_all(communicator: Communicator, folder: Path) -> None:
    def refuse() -> None:
        raise DataError("points.h5: no such data set")

    with pytest.raises(DataError) as error:
        on_root(communicator, refuse)
    assert mistakes_of_all(communicator, error) == {("DataError", "points.h5: no such data set")}
    with pytest.raises(FileNotFoundError) as missing:
        on_root(communicator, (folder / "absent").read_bytes)
    assert missing.value.filename == str(folder / "absent")
    assert len(mistakes_of_all(communicator, missing)) == 1


def all_act_and_each_keeps_its_own_value(communicator: Communicator, folder: Path) -> None:
    assert on_all(communicator, lambda: communicator.rank * 10) == communicator.rank * 10


def mistake_of_the_lowest_failing_rank_is_raised_by_all(communicator: Communicator, folder: Path) -> None:
    lowest = min(1, communicator.size - 1)

    def refuse_above() -> str:
        if communicator.rank >= lowest:
            raise LaunchError(f"rank {communicator.rank} cannot")
        return "fine"

    with pytest.raises(LaunchError) as error:
        on_all(communicator, refuse_above)
    assert mistakes_of_all(communicator, error) == {("LaunchError", f"rank {lowest} cannot")}
    assert on_all(communicator, lambda: "and on") == "and on"  # still in step after a mistake


def leader_is_done_before_the_others_begin(communicator: Communicator, folder: Path) -> None:
    seen: list[bool] = []

    def compile_once() -> None:
        seen.append((folder / "compiled").exists())
        if communicator.rank == 0:  # all ranks are on one node
            time.sleep(0.2)  # long enough for the others to overtake, if they could
            (folder / "compiled").touch()

    leader_first(communicator, compile_once)
    assert seen == [communicator.rank > 0]


def mistake_of_the_leader_stops_all_before_the_others_act(communicator: Communicator, folder: Path) -> None:
    acted: list[int] = []

    def refuse() -> None:
        acted.append(communicator.rank)
        raise DataError("cannot compile")

    with pytest.raises(DataError, match="cannot compile"):
        leader_first(communicator, refuse)
    assert communicator.allgather_object(acted) == [[0], *[[]] * (communicator.size - 1)]


def mistake_of_a_follower_is_raised_by_all(communicator: Communicator, folder: Path) -> None:
    last = communicator.size - 1

    def refuse_on_last() -> None:
        if communicator.rank == last:
            raise DataError("cache is unreadable")

    with pytest.raises(DataError) as error:
        leader_first(communicator, refuse_on_last)
    assert mistakes_of_all(communicator, error) == {("DataError", "cache is unreadable")}


PROMISES = [
    root_acts_alone_and_all_get_its_value,
    mistake_of_the_root_is_raised_by_all,
    all_act_and_each_keeps_its_own_value,
    mistake_of_the_lowest_failing_rank_is_raised_by_all,
    leader_is_done_before_the_others_begin,
    mistake_of_the_leader_stops_all_before_the_others_act,
    mistake_of_a_follower_is_raised_by_all,
]


def keep_all(communicator: Communicator, folder: Path) -> None:
    """Try every promise in a folder of its own."""
    for promise in PROMISES:
        own = folder / promise.__name__
        on_root(communicator, own.mkdir)
        promise(communicator, own)


def test_one_process_agrees_with_itself(communicator: Communicator, tmp_path: Path) -> None:
    keep_all(communicator, tmp_path)


@pytest.mark.mpi(ranks=(1, 2, 3, 4))
def test_ranks_agree(communicator: Communicator, tmp_path: Path) -> None:
    keep_all(communicator, tmp_path)
