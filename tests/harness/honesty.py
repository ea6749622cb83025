"""The pytest plugin that fails a session which promised MPI tests and ran none.

The rule: fail when MPI tests were selected, or all of `testpaths` was asked for, and not one ran on ranks.
Under pytest-xdist the session that started the workers judges.
"""

import os

import pytest

from harness.launch import mpiexec
from harness.plugin import NO_MPIEXEC, TALLY
from harness.rank import FOLDER

SELECTING = ("keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob", "stepwise")


def whole_suite(config: pytest.Config) -> bool:
    """Whether all of `testpaths` was asked for, by default or by name, and nothing narrowed the choice."""
    paths = {(config.rootpath / path).resolve() for path in config.getini("testpaths")}
    asked = {(config.invocation_params.dir / path).resolve() for path in config.args}
    return (asked == paths or asked == {config.rootpath}) and not any(
        config.getoption(name, default=None) for name in SELECTING
    )


def complaint(config: pytest.Config) -> str | None:
    """Why the session is no proof of anything over MPI; None when all is well."""
    tally = config.stash[TALLY]
    if tally.executed or config.option.collectonly or FOLDER in os.environ or hasattr(config, "workeroutput"):
        return None
    if not tally.selected and not whole_suite(config):
        return None
    cause = "all were skipped" if mpiexec() else NO_MPIEXEC
    reason = f": {cause}" if tally.selected else ""
    return f"{tally.selected} MPI tests were selected and none was executed{reason}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    unhurt = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if unhurt and complaint(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    text = complaint(config)
    if text is not None:
        terminalreporter.section("no MPI test was executed", red=True)
        terminalreporter.line(text, red=True)
