"""Every image can be built, line by line, and does what it is for."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
from command import hpcjobs, story, wait_until
from docker.container import Root
from docker.dockerfile import read
from docker.image import Builder

BLOBS = ("data", "generate", "blobs", "b.h5", "--rows", "2000", "--columns", "8", "--centres", "5", "--seed", "1")
RUN = ("run", "kmeans", "--data", "b.h5", "--clusters", "5", "--seed", "1", "--out", "r", "-n", "2")


@pytest.fixture(scope="session")
def cpu(builder: Builder) -> Root:
    return builder.build(read(Path(__file__).parents[2] / "docker" / "cpu.Dockerfile"))


def use(image: Root, *arguments: str) -> str:
    """What `docker run IMAGE ARGUMENTS` prints."""
    return image.run(*image.entry, *arguments).stdout


def test_a_run_in_the_cpu_image_has_the_digest_of_one_outside(cpu: Root, tmp_path: Path) -> None:
    use(cpu, *BLOBS)
    use(cpu, *RUN)
    told = json.loads(use(cpu, "show", "r", "--json"))
    hpcjobs(tmp_path, *BLOBS)
    hpcjobs(tmp_path, *RUN)
    assert told["digest"] == story(tmp_path, "r")["digest"]
    assert (cpu.path / "data" / "r").stat().st_uid != 0


def test_the_cpu_image_serves_a_user_whom_it_does_not_know(cpu: Root) -> None:
    mounted = cpu.path / "mounted"
    mounted.mkdir()
    os.chown(mounted, 12345, 12345)
    someone = dataclasses.replace(cpu, user="12345", work="/mounted", env=cpu.env | {"HOME": "/mounted"})
    use(someone, *BLOBS)
    use(someone, *RUN)
    assert len(json.loads(use(someone, "show", "r", "--json"))["ranks"]) == 2


def test_a_script_finds_the_python_of_the_cpu_image_and_its_mpi(cpu: Root) -> None:
    ask = "from hpcjobs.parallel.library import srun_type; print(srun_type())"
    assert cpu.run("python3", "-c", ask).stdout == "pmi2\n"


def test_the_cpu_image_without_a_command_says_how_to_use_it(cpu: Root) -> None:
    assert "usage: hpcjobs" in use(cpu, *cpu.command)


def test_the_cpu_image_holds_no_source_and_no_cache(cpu: Root) -> None:
    for empty in ("var/lib/apt/lists", "var/cache/apt/archives/partial", "root/.cache", "source"):
        assert list((cpu.path / empty).glob("*")) == [], empty
    assert list((cpu.path / "var/cache/apt/archives").glob("*.deb")) == []


def test_every_line_of_the_cuda_image_runs_on_debian(builder: Builder, checkout: Path) -> None:
    image = builder.build(read(checkout / "docker" / "cuda.Dockerfile"))
    assert "usage: hpcjobs" in use(image, *image.command)


def test_the_slurm_image_starts_a_cluster_of_three_nodes(builder: Builder, checkout: Path) -> None:
    image = builder.build(read(checkout / "docker" / "slurm" / "Dockerfile"))
    assert image.run("slurmctld", "-V").stdout.startswith("slurm")
    with image.started() as inside:

        def ask(*argv: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run([*inside, *argv], capture_output=True, text=True, timeout=60, check=False)

        wait_until(lambda: ask("cluster.sh", "status").returncode == 0, "all nodes", limit_s=90)
        assert sorted(ask("srun", "--nodes=3", "hostname").stdout.split()) == ["node1", "node2", "node3"]
