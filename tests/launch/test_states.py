"""Slurm's states: which are an end, which wait, and what becomes of those that nobody here knows."""

import pytest

from hpcjobs.launch.slurm.states import BASE, base, ended, waiting, words

# From Slurm's own list of job states: whether a job in it is over, and whether it is in the queue.
TABLE = [
    ("PENDING", False, True),
    ("RUNNING", False, False),
    ("SUSPENDED", False, False),
    ("COMPLETED", True, False),
    ("CANCELLED", True, False),
    ("FAILED", True, False),
    ("TIMEOUT", True, False),
    ("NODE_FAIL", True, False),
    ("PREEMPTED", True, False),
    ("BOOT_FAIL", True, False),
    ("DEADLINE", True, False),
    ("OUT_OF_MEMORY", True, False),
    ("COMPLETING", False, False),
    ("CONFIGURING", False, False),
    ("REQUEUED", False, True),
    ("REQUEUE_HOLD", False, True),
    ("SPECIAL_EXIT", False, True),
    ("RESIZING", False, False),
    ("SIGNALING", False, False),
    ("STAGE_OUT", False, False),
    ("STOPPED", False, False),
    ("REVOKED", True, False),
]


@pytest.mark.parametrize(("state", "over", "queued"), TABLE)
def test_every_state_is_over_or_not(state: str, over: bool, queued: bool) -> None:
    assert (ended(state), waiting(state)) == (over, queued)


def test_all_base_states_are_in_the_table() -> None:
    assert set(BASE) <= {state for state, _, _ in TABLE}


@pytest.mark.parametrize("state", ["CANCELLED by 1000", "CANCELLED+", "CANCELLED", "cancelled"])
def test_a_cancelled_job_is_known_in_every_spelling(state: str) -> None:
    assert base(state) == "CANCELLED"
    assert ended(state)


@pytest.mark.parametrize("state", ["WIBBLING", "", "DONE", "COMPLETE_NOT_REALLY"])
def test_an_unknown_state_is_kept_and_is_no_end(state: str) -> None:
    assert base(state) == state
    assert not ended(state)
    assert not waiting(state)


def test_states_are_said_in_words() -> None:
    assert words("STAGE_OUT") == "stage out"
