"""What squeue and sacct print, from Slurm 20.11 to 26.05, is read alike; what is no job is passed over."""

import time
from pathlib import Path

import pytest
from launch.pretend import Commands, install

from hpcjobs.launch.slurm import query
from hpcjobs.launch.slurm.query import ACCOUNT, QUEUED, Problem, expand, parse, rows, sacct, squeue
from hpcjobs.launch.slurm.rows import Row

DAY = "2026-03-01T"
# As printed by Slurm 22.05 for --format=%i|%T|%S|%e|%l|%D|%P|%r|%j
QUEUE_TEXT = f"""
*** maintenance on Sunday | see the news ***
CLUSTER: alpha
12|RUNNING|{DAY}10:00:00|{DAY}11:00:00|1:00:00|2|main|None|kmeans-0011aabb
13|PENDING|N/A|N/A|1-00:00:00|1|main|Priority|cnn-00112233
14_3|PENDING|{DAY}12:00:00|N/A|10:00|1|short|ReqNodeNotAvail, UnavailableNodes:node[1-3]|a|b|c
15|CANCELLED|{DAY}10:00:00|{DAY}10:00:01|UNLIMITED|1|main|None|
16+1|CONFIGURING|{DAY}10:00:00|N/A|5:00|1|main|None|het
17|WIBBLING|N/A|N/A|5:00|1|main|None|odd
"""


def test_the_queue_is_read_line_by_line() -> None:
    found = rows(parse(QUEUE_TEXT, QUEUED))
    assert list(found) == ["12", "13", "14_3", "15", "16+1", "17"]
    start, end = f"{DAY}10:00:00", f"{DAY}11:00:00"
    assert found["12"] == Row("12", "RUNNING", "", "", start, end, "1:00:00", "2", "kmeans-0011aabb", "main")
    assert found["13"].reason == "Priority"
    assert (found["13"].start, found["13"].end) == ("", "")
    assert found["14_3"].name == "a|b|c"
    assert found["14_3"].reason == "ReqNodeNotAvail, UnavailableNodes:node[1-3]"
    assert found["15"].name == ""
    assert found["17"].state == "WIBBLING"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "12|RUNNING", "Hello", "|||||||||", "12||a|b|c|d|e|f|g", "x12|RUNNING" + "|" * 7]
)
def test_what_is_no_job_is_no_row(text: str) -> None:
    assert rows(parse(text, QUEUED)) == {}


def test_accounting_is_read_line_by_line() -> None:
    text = (
        f"12|COMPLETED|0:0|{DAY}10:00:00|{DAY}10:05:00|01:00:00|2|main|None|kmeans\n"
        f"13_[4-6%2]|PENDING|0:0|Unknown|Unknown|01:00:00|1|main|Priority|sweep\n"
        f"13_4|CANCELLED by 1000|0:15|{DAY}10:00:00|{DAY}10:05:00|Partition_Limit|1|main|None|sweep\n"
    )
    found = rows(parse(text, ACCOUNT))
    assert list(found) == ["13_4", "13_5", "13_6", "12"]
    assert found["13_4"].state == "CANCELLED by 1000"
    assert found["13_4"].exit_code == "0:15"
    assert found["13_6"].state == "PENDING"
    assert found["12"].end == f"{DAY}10:05:00"


@pytest.mark.parametrize(
    ("job", "tasks"),
    [
        ("12", ["12"]),
        ("12_3", ["12_3"]),
        ("12+1", ["12+1"]),
        ("12_[3-5,9%2]", ["12_3", "12_4", "12_5", "12_9"]),
        ("12_[0-8:4]", ["12_0", "12_4", "12_8"]),
        ("12_[7]", ["12_7"]),
        ("12_[1,3,...]", ["12_1", "12_3"]),
        ("12_[5-3]", []),
    ],
)
def test_collapsed_arrays_are_written_out(job: str, tasks: list[str]) -> None:
    assert expand(job) == tasks


def test_an_absurd_array_is_bounded() -> None:
    assert len(expand("12_[0-99999999999]")) == query.TASKS
    assert len(expand("12_[0-99999999999:0]")) == query.TASKS


def test_a_silent_controller_is_a_problem_and_not_an_empty_queue(commands: Commands) -> None:
    commands.say("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", 1)
    answer = squeue("1000")
    assert isinstance(answer, Problem)
    assert answer.text == "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    assert not answer.off


def test_one_call_asks_for_all_jobs_of_the_user(commands: Commands) -> None:
    commands.say("squeue", QUEUE_TEXT)
    assert len(squeue("1000")) == 6  # type: ignore[arg-type]
    (call,) = commands.calls("squeue")
    assert "--user=1000" in call
    assert not {"--me", "--json", "--only-job-state"} & set(call.split())


def test_accounting_is_asked_once_for_many_tasks(commands: Commands) -> None:
    assert sacct([f"12_{task}" for task in range(1000)] + ["9"]) == {}
    (call,) = commands.calls("sacct")
    assert "--jobs=12,9" in call.split()


def test_a_site_without_accounting_is_known_as_such(commands: Commands) -> None:
    commands.say("sacct", "Slurm accounting storage is disabled\n", 1)
    answer = sacct(["12"])
    assert isinstance(answer, Problem)
    assert answer.off


def test_a_column_that_this_slurm_does_not_know_is_left_out(commands: Commands, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "sacct"
    told = program.read_text().partition("\n")[0] + (
        "\nimport sys\n"
        "if 'Reason' in ' '.join(sys.argv):\n"
        "    sys.exit('sacct: error: Invalid field requested: \"Reason\"')\n"
        "print('12|FAILED|1:0|Unknown|Unknown|1:00|1|main|a name|with bars')\n"
    )
    program.write_text(told)
    answer = sacct(["12"])
    assert not isinstance(answer, Problem)
    assert answer["12"].exit_code == "1:0"
    assert answer["12"].name == "a name|with bars"


def test_local_times_of_slurm_become_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT-2")  # two hours east of Greenwich
    time.tzset()
    try:
        assert query.utc("2026-03-01T10:00:00") == "2026-03-01T08:00:00Z"
        assert query.utc("N/A") == ""
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return install(tmp_path, monkeypatch)
