"""Slurm's commands as a test pretends them: missing, without configuration, without a controller, set up or not."""

import os
from pathlib import Path

import pytest

from hpcjobs.launch import site as sites
from hpcjobs.launch.doctor import slurm
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Machine

NO_CONFIGURATION = 'echo "fatal: Could not establish a configuration source" >&2; exit 1'
CHECKS = list(slurm.CHECKS.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, and a home of the test's own."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(sites, "SYSTEM", tmp_path / "etc")
    (tmp_path / "bin").mkdir()
    return tmp_path


def put(folder: Path, *names: str, body: str = "echo slurm 23.11.4") -> None:
    for name in names:
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / "bin" / name).chmod(0o755)


def test_a_machine_without_slurm_is_no_fault(folder: Path) -> None:
    assert {check(Machine(folder)).verdict for check in CHECKS} == {NOT_HERE}


def test_commands_that_are_missing_are_named(folder: Path) -> None:
    put(folder, *slurm.COMMANDS)
    found = slurm.commands(Machine(folder))
    assert (found.verdict, found.found) == (OK, f"slurm 23.11.4, {folder}/bin/sbatch")
    (folder / "bin" / "sinfo").unlink()
    found = slurm.commands(Machine(folder))
    assert found.verdict == PROBLEM
    assert "not on PATH: sinfo" in found.found


def test_a_client_without_configuration_is_a_problem(folder: Path) -> None:
    put(folder, *slurm.COMMANDS, body=NO_CONFIGURATION)
    for check in (slurm.commands, slurm.controller):
        found = check(Machine(folder))
        assert found.verdict == PROBLEM
        assert "Could not establish a configuration source" in found.found
        assert found.fix.startswith("export SLURM_CONF=")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Slurmctld(primary) at head is UP", OK),
        ("Slurmctld(primary) at head is DOWN", PROBLEM),
        ("Slurmctld(primary) at head is DOWN\nSlurmctld(backup) at spare is UP", WARNING),
        ("Slurmctld(primary) at head is UP\nSlurmctld(backup) at spare is UP", OK),
        ("a banner", PROBLEM),
    ],
)
def test_a_controller_must_answer(folder: Path, answer: str, verdict: str) -> None:
    put(folder, "sbatch")
    put(folder, "scontrol", body=f"echo '{answer}'")
    found = slurm.controller(Machine(folder))
    assert found.verdict == verdict
    assert found.fix.startswith("scontrol ping") == (verdict != OK)


def test_a_controller_that_hangs_is_a_problem(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "ASK_S", 0.5)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    put(folder, "sbatch")
    put(folder, "scontrol", body="exec sleep 1000")
    found = slurm.controller(Machine(folder))
    assert found.verdict == PROBLEM
    assert "no answer within 0.5 s" in found.found


def test_a_site_is_set_up_or_told_how(folder: Path) -> None:
    put(folder, "sbatch")
    found = slurm.site(Machine(folder))
    assert (found.verdict, found.fix) == (WARNING, "hpcjobs setup")
    file = folder / "home" / ".config" / "hpcjobs" / "site.toml"
    file.parent.mkdir(parents=True)
    file.write_text('mpi = "pmix"\n')
    assert slurm.site(Machine(folder)).found == f"{file}: ranks start by pmix"
    file.write_text("mpi = 3\n")
    found = slurm.site(Machine(folder))
    assert (found.verdict, found.fix) == (PROBLEM, "hpcjobs setup --force")
    assert str(file) in found.found
