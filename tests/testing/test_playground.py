"""The playground: a shell in a pretended cluster, and nothing left of it."""

from pathlib import Path

from command import hpcjobs, refused

from hpcjobs.testing import FakeSlurm


def test_one_command_runs_in_it_and_its_exit_code_is_ours(tmp_path: Path) -> None:
    line = "sbatch --parsable --wait --output=out --wrap='echo in the job' && cat out && exit 7"
    ended = hpcjobs(tmp_path, "playground", "--", "bash", "-c", line, code=7)
    assert ended.stdout == "1\nin the job\n" and ended.stderr == ""


def test_the_shell_of_the_user_is_greeted(tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\nsinfo --noheader --format=%R\necho $HPCJOBS_FAKE_SLURM\n")
    shell.chmod(0o755)
    ended = hpcjobs(tmp_path, "playground", env={"SHELL": str(shell)})
    assert "hpcjobs submit" in ended.stderr and "playground break" in ended.stderr
    *partitions, folder = ended.stdout.split()
    assert partitions == ["main", "short", "scavenge", "gpu"]
    assert not Path(folder).exists()


def test_a_job_can_be_broken_in_it(tmp_path: Path) -> None:
    lines = [
        "sbatch --output=out --wrap='echo up; sleep 60'",
        "until grep -qs up out; do sleep 0.05; done",
        "hpcjobs playground break oom",
        "while squeue --noheader | grep -q .; do sleep 0.05; done",
        "sacct --noheader --parsable2 --allocations --format=State",
    ]
    ended = hpcjobs(tmp_path, "playground", "--minute", "2", "--", "bash", "-ec", "\n".join(lines))
    assert ended.stdout.splitlines()[-1] == "OUT_OF_MEMORY"


def test_a_run_is_submitted_and_ends_in_it(tmp_path: Path) -> None:
    lines = [
        "hpcjobs data generate blobs b.h5 --rows 400 --columns 3 --centres 2 --seed 1",
        "sbatch --wait --output=log --ntasks=2 $SCRIPT run kmeans --data b.h5 --clusters 2 --out slurm",
        "hpcjobs run kmeans --data b.h5 --clusters 2 --out here",
        'for run in slurm here; do hpcjobs show $run --json | grep \'"digest": "[0-9a-f]\\{64\\}\' | tail -1; done',
    ]
    script = Path(__file__).parents[2] / "slurm" / "cpu.sbatch"
    ended = hpcjobs(tmp_path, "playground", "--", "bash", "-ec", "\n".join(lines), env={"SCRIPT": str(script)})
    first, second = ended.stdout.splitlines()[-2:]
    assert first == second and "digest" in first


def test_mistakes_are_told(tmp_path: Path) -> None:
    assert "start it with `hpcjobs playground`" in refused(tmp_path, "playground", "break", "node")
    assert "did you mean 'node'" in refused(tmp_path, "playground", "break", "nodes")
    assert "no command after --" in refused(tmp_path, "playground", "--")
    assert "nothere cannot be run" in refused(tmp_path, "playground", "--", "nothere")
    with FakeSlurm(tmp_path / "slurm") as cluster:
        env = cluster.environment({})
        assert "no job runs" in refused(tmp_path, "playground", "break", "node", env=env | {"PATH": "/usr/bin:/bin"})
