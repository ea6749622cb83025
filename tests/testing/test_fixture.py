"""The fixture that users import."""

import subprocess

from hpcjobs.testing import FakeSlurm, fake_slurm

__all__ = ["fake_slurm"]


def test_the_fixture_puts_a_cluster_on_the_path(fake_slurm: FakeSlurm) -> None:
    ended = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=True)
    assert ended.stdout.split()[0] == "main"
    assert fake_slurm.calls("sinfo") == [["--noheader", "--format=%R"]]
