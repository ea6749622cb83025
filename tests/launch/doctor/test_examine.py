"""Every check ends as a finding, in a fixed order, whatever befalls it."""

import threading
from pathlib import Path

import pytest

from hpcjobs.errors import DataError
from hpcjobs.launch.doctor import _examine as examining
from hpcjobs.launch.doctor._examine import guarded, topics, worst
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine


def test_the_folder_is_the_registry_and_the_order_is_fixed() -> None:
    files = {path.stem for path in Path(examining.__file__).parent.glob("[a-z]*.py")}
    names = [topic.__name__.rpartition(".")[2] for topic in topics()]
    assert set(names) == files
    assert names == ["python", "mpi", "hdf5", "blas", "cores", "gpu", "slurm", "storage", "clock"]
    checks = [name for topic in topics() for name in topic.CHECKS]
    assert len(set(checks)) == len(checks)


def test_the_page_lists_every_check_in_this_order() -> None:
    page = Path(examining.__file__).parents[3] / "docs" / "doctor.md"
    rows = page.read_text().partition("| check |")[2].splitlines()[2:]
    listed = [row.split("|")[1].strip() for row in rows if row.startswith("|")]
    assert listed == [name for topic in topics() for name in topic.CHECKS]


def test_a_check_that_fails_is_a_finding(tmp_path: Path) -> None:
    def check(machine: Machine) -> Finding:
        raise KeyError("what nobody thought of")

    found = guarded(check, Machine(tmp_path))
    assert found.verdict == WARNING
    assert "KeyError: 'what nobody thought of'" in found.found


def test_a_folder_that_refuses_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    def check(machine: Machine) -> Finding:
        raise DataError("full")

    assert guarded(check, Machine(tmp_path)) == Finding(
        PROBLEM, "full", f"ls -ld {tmp_path}; df -h {tmp_path}; df -i {tmp_path}"
    )


def test_a_check_that_hangs_is_left_alone(tmp_path: Path) -> None:
    release = threading.Event()

    def check(machine: Machine) -> Finding:
        release.wait()
        return Finding(OK, "at last")

    found = guarded(check, Machine(tmp_path), limit_s=0.05)
    release.set()
    assert (found.verdict, found.found) == (PROBLEM, "no answer within 0.05 s")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], OK),
        ([OK, NOT_HERE], OK),
        ([WARNING, OK], WARNING),
        ([OK, PROBLEM, WARNING], PROBLEM),
    ],
)
def test_the_gravest_verdict_counts(verdicts: list[str], expected: str) -> None:
    assert worst([Finding(verdict, "") for verdict in verdicts]) == expected
