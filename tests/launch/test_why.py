"""Why a run waits or failed: every reason and state in words, and a command that helps."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from hpcjobs.launch.slurm import reasons
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.slurm.states import BASE
from hpcjobs.launch.slurm.steps import Step
from hpcjobs.launch.watch.truth import Verdict
from hpcjobs.launch.watch.why import Explanation, explain, longer

RUN = Path("/home/me/my runs/k")
PLACE = "'/home/me/my runs/k'"
# A word that the explanation of a reason must hold.
REASONS = {
    "Priority": "first",
    "Resources": "free nodes",
    "Dependency": "--dependency",
    "DependencyNeverSatisfied": "cancel",
    "BeginTime": "later",
    "JobHeldUser": "scontrol release 12",
    "JobHeldAdmin": "administrator",
    "JobHoldMaxRequeue": "requeued",
    "launch_failed_requeued_held": "scontrol release 12",
    "job_requeued_in_held_state": "scontrol release 12",
    "PartitionTimeLimit": "--time",
    "PartitionNodeLimit": "--nodes",
    "PartitionDown": "--partition",
    "PartitionInactive": "--partition",
    "PartitionConfig": "--partition",
    "AccountNotAllowed": "--account",
    "InvalidAccount": "--account",
    "InvalidQOS": "--qos",
    "QOSNotAllowed": "--qos",
    "Reservation": "reservation",
    "ReservationDeleted": "--reservation",
    "ReqNodeNotAvail": "maintenance",
    "ReqNodeNotAvail, UnavailableNodes:node[1-3]": "node[1-3]",
    "NodeDown": "down",
    "BadConstraints": "--constraint",
    "Licenses": "licence",
    "Cleaning": "cleaned",
    "JobArrayTaskLimit": "array",
    "QOSMaxJobsPerUserLimit": "as many jobs",
    "QOSMaxCpuPerUserLimit": "cores",
    "QOSMaxWallDurationPerJobLimit": "--time",
    "QOSGrpCpuLimit": "cores",
    "QOSMaxGRESPerUser": "GPUs",
    "AssocGrpCpuLimit": "cores",
    "AssocGrpGRES": "GPUs",
    "AssocGrpMemLimit": "memory",
    "AssocGrpCPUMinutesLimit": "core hours",
    "AssocGrpBillingMinutes": "budget",
    "AssocMaxJobsLimit": "jobs",
    "MaxMemPerLimit": "--mem",
}


def told(state: str, reason: str = "", row: Row | None = None, **more: Any) -> Explanation:
    """The explanation of a run of job 12."""
    ended = state not in ("pending", "requeued", "running", "unknown", "submitting", "not started")
    job = more.pop("job", "12")
    verdict = Verdict(RUN, state, reason, job, 1 if ended else None, ended, "", row, "")
    facts: dict[str, Any] = {
        "outcome": {},
        "resources": {},
        "steps": [],
        "controller": {},
        "log": None,
        "last_lines": [],
    }
    return explain(verdict, **{**facts, **more})


def everything(found: Explanation) -> str:
    return "\n".join([found.headline, *found.details, found.command])


@pytest.mark.parametrize("reason", REASONS)
def test_a_pending_reason_is_said_in_words(reason: str) -> None:
    found = told("pending", row=Row("12", "PENDING", reason))
    assert REASONS[reason] in everything(found)
    assert reason in found.headline
    assert found.details


def test_an_unknown_reason_is_printed_as_it_is() -> None:
    assert told("pending", row=Row("12", "PENDING", "SunSpots (100%)")).headline == "job 12 waits: SunSpots (100%)"


def test_what_can_never_start_is_to_be_cancelled() -> None:
    found = told("pending", row=Row("12", "PENDING", "DependencyNeverSatisfied"))
    assert found.command == f"hpcjobs cancel {PLACE}"


def test_the_expected_start_is_told() -> None:
    found = told("pending", row=Row("12", "PENDING", "Priority", start="2026-03-01T10:00:00"))
    assert "expected to start at 2026-03-01T10:00:00" in found.details


def test_all_base_states_have_words_and_others_stand_for_themselves() -> None:
    assert set(BASE) == set(reasons.STATES)
    assert reasons.state("WIBBLING") == "WIBBLING"


def job(state: str, **fields: str) -> list[Step]:
    """A job of two nodes and its step of four ranks, of which `fields` are told."""
    whole = {"State": state, "NNodes": "2", "AllocCPUS": "4", "AllocTRES": "cpu=4,mem=8G,node=2"}
    return [
        Step("12", whole),
        Step("12.0", {"State": state, "NNodes": "2", "NTasks": "4", "NodeList": "n[1-2]", **fields}),
    ]


def test_out_of_memory_tells_peak_and_request_and_asks_for_more() -> None:
    found = told("out of memory", steps=job("OUT_OF_MEMORY", MaxRSS="3145728K"))
    assert found.details == [
        "its largest rank had reached 3.0 GiB when last measured, which makes 6.0 GiB on a node",
        "it had asked for 4.0 GiB on each node",
    ]
    assert found.command == f"hpcjobs resume {PLACE} --mem 9G"


@pytest.mark.parametrize(
    "more",
    [
        {"steps": job("FAILED", ExitCode="0:125")},
        {"steps": job("OUT_OF_MEMORY")},
        {"controller": {"JobState": "OUT_OF_MEMORY"}},
        {"last_lines": ["slurmstepd: error: Detected 1 oom_kill event in StepId=12.0"]},
        {"last_lines": ["slurmstepd: error: Step 12.0 exceeded memory limit (900 > 800), being killed"]},
    ],
)
def test_out_of_memory_is_known_by_any_of_its_traces(more: dict[str, Any]) -> None:
    found = told("failed", "Slurm says FAILED", resources={"mem": "20G"}, **more)
    assert found.headline == "out of memory"
    assert found.command == f"hpcjobs resume {PLACE} --mem 30G"


def test_a_time_limit_asks_for_twice_the_time() -> None:
    found = told("time limit", "Slurm says TIMEOUT", resources={"time": "2:00:00"})
    assert found.command == f"hpcjobs resume {PLACE} --time 04:00:00"
    assert "2:00:00" in found.details[0]


def test_a_run_that_saved_at_its_limit_and_was_not_requeued_asks_for_more_time() -> None:
    outcome = {"cause": "time_limit", "reason": "stopped by SIGUSR1 at a checkpoint"}
    found = told("stopped", outcome["reason"], outcome=outcome, controller={"TimeLimit": "1-00:00:00"})
    assert found.command == f"hpcjobs resume {PLACE} --time 2-00:00:00"


def test_a_mistake_is_told_with_its_own_message() -> None:
    outcome = {"cause": "mistake", "reason": "b.h5: no such file; out of memory it was not"}
    found = told("failed", outcome["reason"], outcome=outcome, last_lines=["hpcjobs: error: out of memory it was not"])
    assert (found.headline, found.details) == ("a mistake that you can mend", [outcome["reason"]])
    assert found.command == f"hpcjobs submit {PLACE}"


def test_a_node_failure_names_the_node() -> None:
    assert "node7" in told("node failure", controller={"NodeList": "node7"}).headline


@pytest.mark.parametrize(
    ("code", "words"),
    [("0:9", "was ended by SIGKILL"), ("3:0", "ended with exit code 3"), ("0:99", "was ended by signal 99")],
)
def test_a_failure_names_its_step(code: str, words: str) -> None:
    assert told("failed", "Slurm says FAILED", steps=job("FAILED", ExitCode=code)).details == [
        f"step 12.0 {words} on n[1-2]"
    ]


@pytest.mark.parametrize(
    "state",
    ["done", "running", "unknown", "submitting", "cancelled", "lost", "killed", "preempted", "stopped", "wibbling"],
)
def test_every_state_is_explained(state: str) -> None:
    found = told(state, "for some reason")
    assert found.headline.startswith(state)
    shlex.split(found.command)


def test_a_run_of_this_machine_is_resumed() -> None:
    assert told("killed", job="").command == f"hpcjobs resume {PLACE}"


def test_twenty_lines_of_the_log_are_shown() -> None:
    found = told("failed", log=RUN / "log-12.out", last_lines=[str(number) for number in range(50)])
    assert found.last_lines == [str(number) for number in range(30, 50)]
    assert found.log == "/home/me/my runs/k/log-12.out"


@pytest.mark.parametrize(
    ("asked", "twice"),
    [
        ("30", "01:00:00"),
        ("1:30", "00:03:00"),
        ("2:00:00", "04:00:00"),
        ("1-12", "3-00:00:00"),
        ("UNLIMITED", "02:00:00"),
    ],
)
def test_twice_a_time_limit_is_a_time_limit(asked: str, twice: str) -> None:
    assert longer(asked) == twice
