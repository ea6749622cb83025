"""The pytest plugin inside a rank: writes this rank's own report, and shows where it stands when asked."""

import faulthandler
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.watch import announced_rank

FOLDER = "HPCJOBS_TEST_REPORTS"  # set in every rank that the harness starts: the folder of its reports
STACK_SIGNAL = signal.SIGUSR2


class RankReporter:
    """Keeps `rank-N.json` up to date, so that whatever ends this process, it is known how far it came."""

    def __init__(self, folder: Path) -> None:
        self._shared = folder / "shared"
        self._name = folder / f"rank-{announced_rank()}"
        self._report: dict[str, Any] = {"outcome": "none", "finished": False, "text": ""}
        stack = os.open(self._name.with_suffix(".stack"), os.O_WRONLY | os.O_CREAT, 0o600)
        faulthandler.register(STACK_SIGNAL, file=stack, all_threads=True)
        self._name.with_suffix(".pid").write_text(str(os.getpid()))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write("failed", report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            printed = "".join(f"\n--- {title} ---\n{text.rstrip()}" for title, text in report.sections)
            earlier = f"{self._report['text']}\n" if self._report["outcome"] == "failed" else ""
            self._write("failed", f"{earlier}in {report.when}:\n{report.longreprtext}{printed}")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            self._write("skipped", reason.removeprefix("Skipped: "))
        elif report.when == "call":
            self._write("passed", "")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._report["finished"] = True
        self._write(self._report["outcome"], self._report["text"])
        # The report carries the outcome. Any other code would make `-m mpi4py` abort the ranks still at work.
        session.exitstatus = pytest.ExitCode.OK

    def _write(self, outcome: str, text: str) -> None:
        self._report |= {"outcome": outcome, "text": text}
        writing = self._name.with_suffix(".unfinished")
        writing.write_text(json.dumps(self._report))
        writing.rename(self._name.with_suffix(".json"))

    @pytest.fixture
    def tmp_path(self) -> Path:
        """An empty folder, the same one on all ranks."""
        return self._shared


def wrong_world(ranks: int) -> str | None:
    """Why the world this process woke up in is not the one its test asked for; None when it is."""
    from mpi4py import MPI

    size, rank = MPI.COMM_WORLD.Get_size(), MPI.COMM_WORLD.Get_rank()
    if FOLDER not in os.environ:  # somebody's own mpiexec -n N pytest --with-mpi
        return None if size == ranks else f"needs {ranks} ranks, not {size}"
    if (size, rank) == (ranks, announced_rank()):
        return None
    return (
        f"started as rank {announced_rank()} of {ranks}, but the MPI library sees rank {rank} of {size}: "
        f"mpiexec and library do not belong together ({MPI.Get_library_version().splitlines()[0]})"
    )
