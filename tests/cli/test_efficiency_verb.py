"""`hpcjobs efficiency`: accounting's numbers against what was asked for, and none where there is no accounting."""

import json
from pathlib import Path

from command import hpcjobs
from pretend import Pretend, end, new_run, sent

from hpcjobs.launch.slurm.steps import COLUMNS

JOB = {
    "State": "COMPLETED", "Submit": "2026-01-01T00:00:00", "Start": "2026-01-01T00:10:00",
    "ElapsedRaw": "100", "NNodes": "1", "AllocCPUS": "4", "TotalCPU": "03:20", "AllocTRES": "cpu=4,mem=8G,node=1",
}  # fmt: skip
STEP = {"State": "COMPLETED", "ElapsedRaw": "100", "NNodes": "1", "NTasks": "4", "MaxRSS": "512M"}


def line(number: str, fields: dict[str, str]) -> str:
    return "|".join({"JobID": number, **fields}.get(name, "") for name in COLUMNS) + "\n"


def test_cores_and_memory_are_told_against_what_was_asked_for(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    end(run, 0, "finished", job="12")
    slurm.account(line("12", JOB) + line("12.0", STEP) + line("123", JOB | {"ElapsedRaw": "7"}))
    (told,) = json.loads(hpcjobs(tmp_path, "efficiency", "--json").stdout)
    assert told["job_id"] == "12"
    assert told["wait_s"] == 600
    assert told["cpu_used_s"] / told["cpu_asked_s"] == 200 / 400
    assert told["memory_peak"] / told["memory_asked"] == 4 * 512 / 8192
    text = hpcjobs(tmp_path, "efficiency", "12").stdout
    assert "50% of 4 busy" in text and "25%" in text


def test_without_accounting_nothing_is_made_up(tmp_path: Path, slurm: Pretend) -> None:
    run = new_run(tmp_path / "run")
    sent(run.path, "12")
    end(run, 0, "finished", job="12")
    (told,) = json.loads(hpcjobs(tmp_path, "efficiency", "run", "--json").stdout)
    assert told["cpu_used_s"] is None and told["memory_peak"] is None and told["energy_j"] is None
    assert "no accounts" in hpcjobs(tmp_path, "efficiency", "run").stdout
