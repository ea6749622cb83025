"""Used against asked for: what sacct prints, in every unit it has, and columns that a site does not fill."""

from pathlib import Path
from typing import Any

import pytest

from hpcjobs.launch.slurm.steps import Step, size
from hpcjobs.launch.watch.efficiency import Efficiency, in_words, joules, measure, memory_asked, seconds, tres

RUN = Path("/home/me/run")
JOB = {
    "State": "COMPLETED",
    "ElapsedRaw": "1000",
    "AllocCPUS": "8",
    "NNodes": "2",
    "TotalCPU": "01:40:00",
    "Submit": "2026-03-01T09:00:00",
    "Start": "2026-03-01T09:10:00",
    "ReqMem": "8G",
    "AllocTRES": "billing=8,cpu=8,energy=7200000,gres/gpu=4,mem=16G,node=2",
    "ConsumedEnergyRaw": "7200000",
}
BATCH = {"NNodes": "1", "NTasks": "1", "MaxRSS": "10240K", "TotalCPU": "00:01.000"}
RANKS = {"NNodes": "2", "NTasks": "6", "MaxRSS": "2048M", "TRESUsageInTot": "cpu=01:39:59,gres/gpuutil=300,mem=12G"}


def steps(**job: str) -> list[Step]:
    """A job of six ranks on two nodes, some columns of it changed."""
    return [Step("12", {**JOB, **job}), Step("12.batch", BATCH), Step("12.0", RANKS)]


def attempt(started: str, ended: str, first: int, last: int, reason: str = "killed") -> dict[str, Any]:
    day = "2026-03-01T"
    return {
        "started": f"{day}{started}Z",
        "ended": f"{day}{ended}Z" if ended else "",
        "first_step": first,
        "last_step": last,
        "nodes": 2,
        "reason": reason,
    }


def test_a_job_is_measured_against_what_it_had() -> None:
    found = measure(RUN, steps(), {}, {"exclusive": True})
    assert (found.job_id, found.elapsed_s, found.wait_s) == ("12", 1000, 600)
    assert (found.cores, found.cpu_used_s, found.cpu_asked_s) == (8, 6000, 8000)
    assert found.memory_peak == 3 * 2 * 2**30  # three of six ranks on a node, 2 GiB each
    assert found.memory_asked == 8 * 2**30
    assert (found.gpus, found.gpu_share) == (4, 0.75)
    assert found.energy_j == 7.2e6
    assert found.notes == []


def test_it_is_told_in_words() -> None:
    told = dict(in_words(measure(RUN, steps(), {}, {"exclusive": True})))
    assert told == {
        "ran": "16 min",
        "waited": "10 min",
        "cores": "75% of 8 busy",
        "memory": "6.0 GiB of 8.0 GiB on the fullest node (75%)",
        "GPUs": "4, 75% busy",
        "energy": "2 kWh",
    }


def test_little_use_is_called_so() -> None:
    told = dict(in_words(measure(RUN, steps(TotalCPU="00:10:00"), {}, {})))
    assert told["cores"] == "8% of 8 busy; ask for fewer the next time"


def test_energy_is_claimed_for_whole_nodes_only() -> None:
    found = measure(RUN, steps(), {}, {})
    assert found.energy_j is None
    assert "--exclusive" in found.notes[0]


@pytest.mark.parametrize("column", [*JOB, "MaxRSS"])
def test_a_column_that_is_missing_is_not_zero(column: str) -> None:
    fields = {name: value for name, value in JOB.items() if name != column}
    lines = [Step("12", fields), Step("12.0", {} if column == "MaxRSS" else RANKS)]
    found = measure(RUN, lines, {}, {"exclusive": True})
    told = {
        "ElapsedRaw": (found.elapsed_s, found.cpu_asked_s),
        "TotalCPU": (found.cpu_used_s,),
        "Submit": (found.wait_s,),
        "Start": (found.wait_s,),
        "MaxRSS": (found.memory_peak,),
        "ConsumedEnergyRaw": (found.energy_j,),
        "AllocTRES": (found.gpus, found.gpu_share),
    }.get(column, ())
    assert all(value is None for value in told)
    in_words(found)


def test_without_accounting_nothing_is_claimed() -> None:
    found = measure(RUN, [], {}, {"exclusive": True}, "12")
    numbers = [
        getattr(found, name) for name in Efficiency.__dataclass_fields__ if name not in ("run", "job_id", "notes")
    ]
    assert numbers == [None] * len(numbers)
    assert "no accounts" in in_words(found)[0][1]


def test_a_site_that_gathers_nothing_is_not_told_idle() -> None:
    found = measure(RUN, [Step("12", {**JOB, "TotalCPU": "00:00:00"})], {}, {})
    assert found.cpu_used_s is None


def test_attempts_that_kept_nothing_are_lost() -> None:
    attempts = [
        attempt("09:00:00", "09:10:00", 0, 0),
        attempt("09:20:00", "09:50:00", 0, 7, "stopped by SIGUSR1 at a checkpoint"),
        attempt("10:00:00", "10:20:00", 7, 7, "finished"),
    ]
    found = measure(RUN, steps(), {"attempts": attempts}, {})
    assert (found.lost_node_s, found.all_node_s) == (1200, 7200)
    assert dict(in_words(found))["lost"] == "0.33 node hours of failed attempts (17%)"


def test_an_attempt_without_an_end_is_left_out_and_said_so() -> None:
    found = measure(RUN, steps(), {"attempts": [attempt("09:00:00", "", 0, 0)]}, {"exclusive": True})
    assert (found.lost_node_s, found.all_node_s) == (None, None)
    assert "left out" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:01.500", 1.5),
        ("02:03", 123),
        ("01:02:03", 3723),
        ("1-00:00:00", 86400),
        ("2-01:00:00.250", 2 * 86400 + 3600 + 0.25),
        ("", None),
        ("INVALID", None),
        ("Partition_Limit", None),
    ],
)
def test_spans_of_slurm_are_seconds(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1024K", 2**20),
        ("1M", 2**20),
        ("0.50G", 2**29),
        ("1.5T", 3 * 2**39),
        ("4Gn", 2**32),
        ("512Mc", 2**29),
        ("2048", 2048),
        ("0", 0),
        ("", None),
        ("16?", None),
        ("?", None),
        ("nan", None),
    ],
)
def test_sizes_of_slurm_are_bytes(text: str, expected: int | None) -> None:
    assert size(text) == expected


@pytest.mark.parametrize(
    ("asked", "expected"), [("4Gn", 2**32), ("2Gc", 2**33), ("16G", 2**33), ("0", None), ("", None)]
)
def test_requests_of_old_and_new_releases_are_of_a_node(asked: str, expected: int | None) -> None:
    assert memory_asked(Step("12", {"ReqMem": asked}), {}, 2, 8) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3600000", 3.6e6), ("0", None), ("", None), (str(2**64 - 2), None), (str(2**64 - 1), None), ("12.5K", None)],
)
def test_no_counter_is_no_energy(text: str, expected: float | None) -> None:
    assert joules(text) == expected


def test_joules_are_not_watts() -> None:
    ran_s, power_w = 1000, 500.0
    found = measure(RUN, steps(ConsumedEnergyRaw=str(int(ran_s * power_w))), {}, {"exclusive": True})
    assert found.energy_j == ran_s * power_w
    assert dict(in_words(found))["energy"] == "0.139 kWh"  # 500 W for 1000 s


def test_tres_are_read_by_name() -> None:
    assert tres("cpu=4,gres/gpu:a100=2,gres/gpu=2,mem=8G") == {
        "cpu": "4",
        "gres/gpu:a100": "2",
        "gres/gpu": "2",
        "mem": "8G",
    }
    assert tres("") == {}
