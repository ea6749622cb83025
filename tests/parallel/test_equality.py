"""Ranks that hold other bits than the rest are found and named."""

import numpy as np
import pytest
from clustering.threads_comm import on_ranks

from hpcjobs.errors import LaunchError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator
from hpcjobs.parallel.equality import refuse_difference


def look(communicator: Communicator, odd: tuple[int, ...]) -> None:
    values = [np.zeros(5, dtype=np.float32), np.arange(3.0)]
    if communicator.rank in odd:
        values[0][3] = -0.0  # equal as a number
    refuse_difference("parameters after step 7", values, communicator)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_equal_bits_pass(ranks: int) -> None:
    on_ranks(ranks, lambda communicator: look(communicator, ()))
    look(SerialCommunicator(), ())


@pytest.mark.parametrize(
    ("ranks", "odd", "told"),
    [
        (3, (1,), "rank 1 on [^,]* differs from the rest"),
        (5, (0, 4), "rank 0 on [^,]*, 4 on [^,]* differs from the rest"),
        (2, (1,), "rank 0 on [^,]*, 1 on [^,]* have different ones"),
    ],
)
def test_one_bit_is_seen_and_its_ranks_are_named(ranks: int, odd: tuple[int, ...], told: str) -> None:
    with pytest.raises(
        LaunchError, match=f"parameters after step 7 should be the same bits on all {ranks} ranks.*{told}"
    ):
        on_ranks(ranks, lambda communicator: look(communicator, odd))
