"""One job, whatever becomes of the answer: the controller is played by three lines of shell on PATH."""

from pathlib import Path

import pytest

from hpcjobs.errors import SlurmError
from hpcjobs.launch.slurm import sending
from hpcjobs.launch.slurm.sending import UnknownFateError, parse, send

# Jobs are lines `number|name` in a file; LOST says which calls of sbatch, by number, lose their answer.
SBATCH = """#!/bin/bash
calls=$(($(cat calls 2>/dev/null || echo 0) + 1)); echo $calls >calls
answer=$(cat answers/$calls 2>/dev/null || echo ok)
case $answer in
  late) echo "$((100 + calls))|${1#--job-name=}" >>late
    echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1 ;;
  refuse) [ ! -e late ] || mv late jobs
    echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1 ;;
  drop) echo "sbatch: error: Unable to contact slurm controller (connect failure)" >&2; exit 1 ;;
esac
name=${1#--job-name=}
echo "$((100 + calls))|$name" >>jobs
case $answer in
  lose) echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1 ;;
  banner) echo "Welcome to the site"; echo "$((100 + calls));big"; echo "enjoy" ;;
  *) echo "$((100 + calls))" ;;
esac
"""
SQUEUE = """#!/bin/bash
[ ! -e down ] || { echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; }
cat jobs 2>/dev/null || true
"""
SCANCEL = '#!/bin/bash\nfor id in "$@"; do sed -i "/^$id|/d" jobs; done\n'
SACCT = '#!/bin/bash\necho "Slurm accounting storage is disabled" >&2\nexit 1\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL, "sacct": SACCT}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "answers").mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sending, "LOOKS_S", (0.0, 0.0))
    return tmp_path


def answers(site: Path, *words: str) -> None:
    for number, word in enumerate(words, 1):
        (site / "answers" / str(number)).write_text(word)


def jobs(site: Path) -> list[str]:
    return (site / "jobs").read_text().split() if (site / "jobs").exists() else []


def sent(name: str = "kmeans-0badcafe") -> str:
    return send(["sbatch", f"--job-name={name}"], name)


def test_an_answer_is_taken_as_it_is(site: Path) -> None:
    assert sent() == "101"
    assert len(jobs(site)) == 1


def test_a_job_whose_answer_was_lost_is_found_and_not_sent_again(site: Path) -> None:
    answers(site, "lose")
    assert sent() == "101"
    assert len(jobs(site)) == 1


def test_a_job_that_never_arrived_is_sent_again(site: Path) -> None:
    answers(site, "drop", "ok")
    assert sent() == "102"
    assert len(jobs(site)) == 1


def test_any_run_of_lost_and_dropped_answers_leaves_one_job_in_100_of_100(site: Path) -> None:
    import random

    draw = random.Random(1)
    for number in range(100):
        for left in site.glob("answers/*"):
            left.unlink()
        (site / "calls").unlink(missing_ok=True)
        (site / "jobs").unlink(missing_ok=True)
        answers(site, *(draw.choice(["lose", "drop", "ok", "banner"]) for _ in range(2)))
        name = f"run-{number:08x}"
        number_sent = sent(name)
        assert jobs(site) == [f"{number_sent}|{name}"]


def test_a_refusal_is_passed_on_in_slurms_words_and_is_not_tried_again(site: Path) -> None:
    answers(site, "refuse")
    with pytest.raises(SlurmError, match="Slurm refused the job: Invalid account"):
        sent()
    assert (site / "calls").read_text() == "1\n"


def test_a_job_that_arrived_late_is_kept_when_the_second_call_is_refused(site: Path) -> None:
    answers(site, "late", "refuse")
    assert sent() == "101"
    assert len(jobs(site)) == 1


def test_accounts_that_do_not_answer_leave_the_fate_open(site: Path) -> None:
    answers(site, "drop")
    (site / "tools" / "sacct").write_text('#!/bin/bash\necho "Connection refused" >&2\nexit 1\n')
    with pytest.raises(UnknownFateError):
        sent()
    assert (site / "calls").read_text() == "1\n"


def test_a_controller_that_is_down_leaves_the_fate_open_and_sends_nothing_twice(site: Path) -> None:
    answers(site, "lose")
    (site / "down").touch()
    with pytest.raises(UnknownFateError, match="looks first"):
        sent()
    assert (site / "calls").read_text() == "1\n"


def test_the_number_is_found_among_a_sites_banners() -> None:
    assert parse("Welcome 2026\n12;cluster\nbye\n") == "12"
    assert parse("Submitted batch job") == ""
