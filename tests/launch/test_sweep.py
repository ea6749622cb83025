"""Sweeps: the product of the axes, each task once, whatever MaxArraySize is."""

import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.launch.sweep import batches, grid
from hpcjobs.runs.submission import Sent, Submission, indices, ranges

KNOWN = {"clusters": 0, "seed": 0, "max_iterations": 0}


def test_the_product_of_all_axes_the_last_one_fastest() -> None:
    assert grid(["clusters=8,16", "seed=0:3"], KNOWN) == [
        {"clusters": clusters, "seed": seed} for clusters in ("8", "16") for seed in ("0", "1", "2")
    ]
    assert grid(["--max-iterations=10:0:-5"], KNOWN) == [{"max_iterations": "10"}, {"max_iterations": "5"}]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (["clusters"], "expected SETTING=VALUE"),
        (["clustres=1"], "did you mean 'clusters'"),
        (["seed=1", "seed=2"], "swept twice"),
        (["seed=4:4"], "no values"),
        (["seed=1,,2"], "empty one"),
        (["seed=0:1000", "clusters=0:1000"], "makes 1000000 tasks; at most 100000"),
        (["seed=0:1000000000"], "at most 100000"),
    ],
)
def test_a_sweep_that_means_nothing_is_refused(axes: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        grid(axes, KNOWN)


@pytest.mark.parametrize("size", [1, 2, 6, 1000, 1001])
@pytest.mark.parametrize("tasks", [[0], list(range(2500)), [3, 7, 999, 1000, 1001, 2499]])
def test_every_task_is_sent_exactly_once_and_no_index_reaches_the_limit(tasks: list[int], size: int) -> None:
    sent = [batch.offset + index for batch in batches(tasks, size) for index in sorted(indices(batch.array))]
    assert sent == tasks
    assert all(max(indices(batch.array)) < size for batch in batches(tasks, size))


def test_at_once_stands_in_every_array() -> None:
    assert [batch.array for batch in batches(range(5), 3, 3)] == ["0-2%1", "0-1%1"]


def test_ranges_and_indices_are_inverse() -> None:
    for numbers in ([0], [0, 1, 2, 5], [3, 5, 7], list(range(10)), [9]):
        assert sorted(indices(ranges(numbers))) == numbers


def test_a_task_is_found_in_the_newest_job_that_was_sent_for_it() -> None:
    first = Sent("a", [], "", job_id="12", array="0-2", offset=0)
    second = Sent("b", [], "", job_id="13", array="0-1", offset=3)
    third = Sent("c", [], "", job_id="20", array="1", offset=3)
    record = Submission("k", "", "", "", 10, "me", {}, [first, second, third])
    assert [record.job_of(task) for task in range(6)] == ["12_0", "12_1", "12_2", "13_0", "20_1", ""]
