"""`hpcjobs doctor`: one line a check, exit code 1 for a problem, nothing left behind."""

import json
import os
import sys
from pathlib import Path

import pytest
from command import hpcjobs, refused

from hpcjobs.cli import doctor
from hpcjobs.errors import SettingsError
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding

VERDICTS = (OK, WARNING, PROBLEM, NOT_HERE)


def without_slurm(folder: Path) -> dict[str, str]:
    """A PATH with a shell and our Python only, whatever is installed here."""
    (folder / "bin").mkdir()
    (folder / "bin" / "bash").symlink_to("/bin/bash")
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}"}


def test_a_whole_examination_here(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    environment = without_slurm(tmp_path)
    ended = hpcjobs(tmp_path, "doctor", env=environment)
    lines = ended.stdout.splitlines()
    assert all(line.startswith(VERDICTS) for line in lines), ended.stdout
    assert "2 ranks see each other" in ended.stdout
    assert f"{tmp_path / 'runs'}: " in ended.stdout
    assert f"{sum(line.startswith('ok') for line in lines)} ok" in ended.stderr
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_problem_is_exit_code_1_and_the_json_names_verdict_and_fix(tmp_path: Path) -> None:
    environment = without_slurm(tmp_path) | {"MPI4PY_LIBMPI": "/nowhere/libmpi.so", "OPENBLAS_CORETYPE": "Prescott"}
    told = json.loads(hpcjobs(tmp_path, "doctor", "-n", 2, "--json", code=1, env=environment).stdout)
    assert told["verdict"] == PROBLEM
    checks = {check.pop("name"): check for check in told["checks"]}
    assert all(set(check) == {"verdict", "found", "fix"} and check["verdict"] in VERDICTS for check in checks.values())
    assert checks["MPI library"]["verdict"] == PROBLEM
    assert checks["MPI library"]["fix"] == "unset MPI4PY_LIBMPI"
    assert checks["MPI ranks"]["verdict"] == NOT_HERE
    assert checks["Slurm"]["verdict"] == NOT_HERE
    assert "OPENBLAS_CORETYPE=Prescott" in checks["BLAS kernel"]["found"]
    assert all(check["fix"] for check in checks.values() if check["verdict"] in (WARNING, PROBLEM))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--folder", "nowhere"], "--folder nowhere: expected a folder that is there"),
        (["-n", "0"], "-n is '0'"),
        (["-n", "many"], "-n is 'many'"),
        (["--jason"], "did you mean '--json'?"),
        (["more"], "unknown argument more"),
    ],
)
def test_mistakes_are_refused_before_anything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as mistake:
        doctor.main(arguments)
    assert words in str(mistake.value)


def test_a_refusal_is_exit_code_2(tmp_path: Path) -> None:
    assert "expected a folder" in refused(tmp_path, "doctor", "--folder", "nowhere")


def test_a_folder_that_is_not_there_yet_is_looked_at_where_it_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPCJOBS_RUNS", raising=False)
    assert doctor.chosen(None) == tmp_path
    (tmp_path / "runs").mkdir()
    assert doctor.chosen(None) == tmp_path / "runs"
    monkeypatch.setenv("HPCJOBS_RUNS", str(tmp_path / "large" / "disk"))
    assert doctor.chosen(None) == tmp_path
    assert doctor.chosen(Path("runs")) == tmp_path / "runs"


def test_a_line_holds_verdict_name_finding_and_fix() -> None:
    line = doctor.told("clock", Finding(WARNING, "two\nlines \x1b[31m", "sudo this; that"))
    assert line == "warning   clock             two lines [31m; fix: sudo this; that"
    doctor.told("run folder", Finding(PROBLEM, "\udcff: full", "ls \udcff")).encode()
