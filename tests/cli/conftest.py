"""What the tests of the verbs that watch jobs share: a pretend Slurm, and run folders made in this process."""

from pathlib import Path

import pytest
from pretend import Pretend, pretend


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Slurm's commands on PATH; the runs that this process makes are found by the commands that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = pretend(tmp_path / "slurm")
    monkeypatch.setenv("PATH", made.environment()["PATH"])
    return made
