"""The pytest plugin: `@pytest.mark.mpi(ranks=3)` or `ranks=(1, 2, 3)` runs a test on ranks of its own.

In an ordinary session each such test becomes an item that starts `mpiexec -n N python -m mpi4py -m pytest
--with-mpi NODEID` and judges the reports of all ranks. Inside the ranks, pytest-mpi and `harness.rank` rule.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import launch
from harness.rank import FOLDER, RankReporter, wrong_world
from harness.verdict import judge

Place = tuple[os.PathLike[str] | str, int | None, str]
NO_MPIEXEC = "no mpiexec beside this Python or on PATH; install one: pip install 'hpcjobs[local]'"


@dataclass
class Tally:
    """How many MPI tests this session selected, and how many really ran on ranks."""

    selected: int = 0
    executed: int = 0


TALLY = pytest.StashKey[Tally]()
# Under which name a worker of pytest-xdist hands its tally over; each of them selects all tests and runs a part.
HANDED_OVER = "mpi_tally"


class RankedItem(pytest.Item):
    """A test that runs on ranks of its own."""

    def __init__(self, *, ranks: int, written_at: Place, **node: Any) -> None:
        super().__init__(**node)
        self._ranks = ranks
        self._written_at = written_at

    def runtest(self) -> None:
        launcher = launch.mpiexec()
        if launcher is None:
            pytest.skip(NO_MPIEXEC)
        limit = float(self.config.getini("mpi_limit"))
        root = self.config.rootpath
        # Expected failures are judged here, where all ranks are known.
        arguments = ["--runxfail", "-q", f"--tb={self.config.getoption('tbstyle')}", f"--rootdir={root}"]
        arguments += ["-c", str(self.config.inipath)] if self.config.inipath else []
        with tempfile.TemporaryDirectory(prefix="hpcjobs-mpi-") as name:
            folder = Path(name)
            argv = launch.command(launcher, self._ranks, folder, [*arguments, self.nodeid])
            verdict = judge(launch.run(argv, self._ranks, folder, root, limit), limit)
        if verdict.outcome == "skipped":
            pytest.skip(verdict.text)
        self.config.stash[TALLY].executed += 1
        if verdict.outcome == "failed":
            pytest.fail(verdict.text, pytrace=False)

    def reportinfo(self) -> Place:
        return self._written_at


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("mpi_limit", "seconds an MPI test may take before its ranks are ended", default="30")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mpi(ranks): how many ranks the test runs on; a tuple: on each number")
    config.stash[TALLY] = Tally()
    if FOLDER in os.environ:
        config.pluginmanager.register(RankReporter(Path(os.environ[FOLDER])), "rank-reporter")


@pytest.fixture
def ranks(request: pytest.FixtureRequest) -> int:
    """The number of ranks that this test runs on."""
    return int(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("mpi")
    if mark is None:
        return
    asked = mark.kwargs.get("ranks", mark.kwargs.get("min_size", ()))
    counts = (asked,) if isinstance(asked, int) else tuple(asked)
    if not counts or not all(isinstance(count, int) and count > 0 for count in counts):
        test = metafunc.definition.nodeid
        raise pytest.UsageError(f"{test}: write @pytest.mark.mpi(ranks=3) or ranks=(1, 2, 3)")
    if "ranks" not in metafunc.fixturenames:
        metafunc.fixturenames.append("ranks")
    metafunc.parametrize("ranks", counts, ids=[f"ranks{count}" for count in counts], indirect=True)


def ranks_of(item: pytest.Item) -> int | None:
    """The number of ranks a test asks for; None for an ordinary test."""
    if isinstance(item, pytest.Function) and item.get_closest_marker("mpi"):
        count = item.callspec.params["ranks"]
        assert isinstance(count, int)
        return count
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Any:
    # Marks as written: pytest-mpi is about to add a skip to every MPI test of a session without --with-mpi.
    marks = {item: list(item.own_markers) for item in items}
    result = yield
    on_ranks = config.getoption("--with-mpi") or config.getoption("--only-mpi")
    for position, item in enumerate(items):
        count = ranks_of(item)
        if count is not None and item.parent is not None:
            config.stash[TALLY].selected += 1
            if not on_ranks:
                ranked = RankedItem.from_parent(item.parent, name=item.name, ranks=count, written_at=item.reportinfo())
                ranked.own_markers.extend(marks[item])
                ranked.keywords.update({mark.name: mark for mark in marks[item]})
                items[position] = ranked
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        tally = session.config.stash[TALLY]
        output[HANDED_OVER] = (tally.selected, tally.executed)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    selected, executed = getattr(node, "workeroutput", {}).get(HANDED_OVER, (0, 0))
    tally = node.config.stash[TALLY]
    tally.selected = max(tally.selected, selected)
    tally.executed += executed


def pytest_runtest_setup(item: pytest.Item) -> None:
    count = ranks_of(item)
    if count is None:
        return
    reason = wrong_world(count)
    if reason is None:
        item.config.stash[TALLY].executed += 1
    elif FOLDER in os.environ:
        pytest.fail(reason, pytrace=False)
    else:
        pytest.skip(reason)
