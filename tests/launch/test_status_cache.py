"""The status cache: however many watch, Slurm is asked seldom; and its silence is never taken for an answer."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from launch.pretend import Commands, install

from hpcjobs.launch.slurm import cache as caches
from hpcjobs.launch.slurm.cache import Cache

START = 1_700_000_000.0
DAY = "2026-03-01T"
UNKNOWN_ID = "slurm_load_jobs error: Invalid job id specified\n"
DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    found = install(tmp_path, monkeypatch)
    found.say("squeue.named", UNKNOWN_ID, 1)
    found.say("sacct", "Slurm accounting storage is disabled\n", 1)
    yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def queue(*jobs: int | str, state: str = "RUNNING") -> str:
    return "".join(f"{job}|{state}|{DAY}10:00:00|{DAY}11:00:00|1:00:00|1|main|None|name\n" for job in jobs)


def accounts(job: int | str, state: str, code: str) -> str:
    return f"{job}|{state}|{code}|{DAY}10:00:00|{DAY}10:30:00|01:00:00|1|main|None|name\n"


def polls(commands: Commands) -> int:
    """Calls of squeue for the whole queue."""
    return sum("--jobs=" not in call for call in commands.calls("squeue"))


def test_an_hour_of_five_watchers_of_a_thousand_jobs_costs_sixty_calls_at_most(
    commands: Commands, clock: Clock, file: Path
) -> None:
    jobs = [str(job) for job in range(1000, 2000)]
    commands.say("squeue", queue(*jobs))
    commands.say("sacct", "")
    watchers = [Cache(file, clock) for _ in range(5)]
    for second in range(0, 3600, 5):
        clock.now = START + second
        for number, watcher in enumerate(watchers):
            said = watcher.rows(jobs[number * 200 : (number + 1) * 200], watching=True)
            assert len(said.queue) == 200
            assert said.asked > clock.now - caches.LONGEST_S - 5
    assert 20 <= len(commands.calls("squeue")) <= 60
    assert len(commands.calls("sacct")) <= 60


def test_watchers_of_jobs_that_nobody_knows_cost_no_more(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", queue(1))
    commands.say("sacct", "")
    commands.say("squeue.named", DOWN, 1)
    watchers = [Cache(file, clock) for _ in range(5)]
    for second in range(0, 3600, 5):
        clock.now = START + second
        for number, watcher in enumerate(watchers):
            watcher.rows([f"{number + 10}"], watching=True)
    assert polls(commands) <= 60
    assert len(commands.calls("sacct")) <= 60


def test_a_job_that_nobody_knows_is_asked_for_by_name_once(commands: Commands, clock: Clock, file: Path) -> None:
    for later in (0, 20, 40, 60):
        clock.now = START + later
        said = Cache(file, clock).rows(["7"])
        assert said.missing["7"].denied
        assert said.missing["7"].since == START
    assert sum("--jobs=7" in call for call in commands.calls("squeue")) == 1


def test_typed_commands_share_an_answer_for_ten_seconds(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", queue(1))
    for later in (0, 3, 9.9):
        clock.now = START + later
        assert Cache(file, clock).rows(["1"]).queue["1"].state == "RUNNING"
    assert polls(commands) == 1
    clock.now = START + 10.1
    Cache(file, clock).rows(["1"])
    assert polls(commands) == 2


def test_those_who_ask_at_once_cost_one_call(commands: Commands, file: Path) -> None:
    commands.say("squeue", queue(1))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(Cache(file).rows(["1"]).queue)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 8
    assert polls(commands) == 1


def test_a_submission_makes_watchers_look_often_again(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", queue(1))
    watcher = Cache(file, clock)
    for _ in range(100):
        clock.now += 10
        watcher.rows(["1"], watching=True)
    before = polls(commands)
    Cache(file, clock).fresh()
    watcher.rows(["1"], watching=True)
    clock.now += 14
    watcher.rows(["1"], watching=True)
    assert polls(commands) == before + 2


def test_a_controller_that_is_down_is_asked_seldom_and_old_rows_stay(
    commands: Commands, clock: Clock, file: Path
) -> None:
    commands.say("squeue", queue(1))
    watcher = Cache(file, clock)
    watcher.rows(["1"], watching=True)
    commands.say("squeue", DOWN, 1)
    for second in range(0, 3600, 5):
        clock.now = START + second
        said = watcher.rows(["1"], watching=True)
        assert said.queue["1"].state == "RUNNING"
    assert said.queue_problem == DOWN.strip()
    assert said.asked == START
    assert polls(commands) <= 60


def test_the_time_of_silence_does_not_count_as_absence(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", DOWN, 1)
    commands.say("squeue.named", DOWN, 1)
    Cache(file, clock).rows(["1"])
    clock.now += 1000
    commands.say("squeue", "")
    said = Cache(file, clock).rows(["1"])
    assert said.missing["1"].since == clock.now
    assert not said.missing["1"].denied


def test_an_ended_job_is_remembered_when_slurm_has_forgotten_it(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", queue(1, state="FAILED"))
    Cache(file, clock).rows(["1"])
    commands.say("squeue", "")
    clock.now += 1000
    assert Cache(file, clock).rows(["1"]).accounts["1"].state == "FAILED"


def test_how_a_job_ended_is_asked_for_once(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("squeue", queue(1, state="FAILED"))
    commands.say("sacct", accounts(1, "FAILED", "3:0"))
    for _ in range(5):
        clock.now += 100
        assert Cache(file, clock).rows(["1"]).accounts["1"].exit_code == "3:0"
    assert len(commands.calls("sacct")) == 1


def test_a_job_that_was_requeued_is_not_remembered_as_ended(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("sacct", accounts(1, "NODE_FAIL", "0:0"))
    Cache(file, clock).rows(["1"])
    clock.now += 100
    commands.say("squeue", queue(1, state="PENDING"))
    said = Cache(file, clock).rows(["1"])
    assert said.queue["1"].state == "PENDING"
    assert said.accounts == {}


def test_what_accounting_calls_running_is_no_end(commands: Commands, clock: Clock, file: Path) -> None:
    commands.say("sacct", accounts(1, "RUNNING", "0:0"))
    said = Cache(file, clock).rows(["1"])
    assert said.accounts == {}
    assert "1" in said.missing


def test_a_site_without_accounting_is_asked_once_an_hour(commands: Commands, clock: Clock, file: Path) -> None:
    for later in range(0, 3500, 100):
        clock.now = START + later
        Cache(file, clock).rows(["1"])
    assert len(commands.calls("sacct")) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'{"queue": 3}', b"\xff\xfe"])
def test_a_damaged_cache_is_made_anew(commands: Commands, clock: Clock, file: Path, content: bytes) -> None:
    commands.say("squeue", queue(1))
    file.write_bytes(content)
    assert Cache(file, clock).rows(["1"]).queue["1"].state == "RUNNING"
    assert Cache(file, clock).rows(["1"]).queue["1"].state == "RUNNING"
    assert polls(commands) == 1


def test_a_home_that_cannot_be_written_works_without_a_cache(commands: Commands, clock: Clock, tmp_path: Path) -> None:
    commands.say("squeue", queue(1))
    for file in (None, tmp_path / "nowhere" / "status.json"):
        assert Cache(file, clock).rows(["1"]).queue["1"].state == "RUNNING"
        Cache(file, clock).fresh()


def test_without_locks_slurm_is_asked_all_the_same(
    commands: Commands, clock: Clock, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(caches.fcntl, "flock", no_locks)
    commands.say("squeue", queue(1))
    assert Cache(file, clock).rows(["1"]).queue["1"].state == "RUNNING"


def test_one_who_comes_while_another_asks_does_not_take_ignorance_for_an_answer(
    commands: Commands, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "_lock", lambda descriptor: False)
    said = Cache(file).rows(["1"])
    assert said.queue == {}
    assert said.queue_problem


def test_the_files_are_private(commands: Commands, clock: Clock, file: Path) -> None:
    Cache(file, clock).rows(["1"])
    assert [path.stat().st_mode & 0o777 for path in file.parent.glob("status*")] == [0o600, 0o600]
