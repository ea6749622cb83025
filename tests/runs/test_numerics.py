"""A run whose bits depend on the machine does not go on, or begin, on machines that compute otherwise."""

from pathlib import Path
from typing import Any

import pytest

from hpcjobs.errors import LaunchError, RunFolderError
from hpcjobs.runs.numerics import refuse_mixed, refuse_other

HERE: dict[str, Any] = {"numerics": "1", "libraries": {"numpy": "2.0"}, "blas": ["openblas Zen"], "processor": ["A"]}


def test_the_same_machine_is_taken() -> None:
    refuse_mixed(HERE)
    refuse_other(Path("step.h5"), dict(HERE), HERE)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"blas": ["openblas Haswell"]}, ["blas: openblas Haswell -> openblas Zen"]),
        ({"processor": ["B"]}, ["processor: B -> A"]),
        ({"libraries": {"numpy": "1.26"}}, ["1.26", "2.0"]),
        ({"numerics": "0"}, ["numerics"]),
    ],
)
def test_another_machine_is_refused_with_both_named(changed: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RunFolderError) as found:
        refuse_other(Path("step.h5"), HERE | changed, HERE)
    assert all(word in str(found.value) for word in [*words, "step.h5", "--allow-other-numerics"])


def test_ranks_on_several_kinds_of_cpu_are_refused() -> None:
    with pytest.raises(LaunchError, match=r"A, B.*--allow-other-numerics"):
        refuse_mixed(HERE | {"processor": ["A", "B"]})
