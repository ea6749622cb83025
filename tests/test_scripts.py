"""The scripts in slurm/: whole and valid by hand, and what they hand to srun, mpiexec, Apptainer and pyxis."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import wait_until

SCRIPTS = sorted((Path(__file__).parents[1] / "slurm").glob("*.sbatch"))
CPU, GPU, CONTAINER = (SCRIPTS[0].with_name(f"{name}.sbatch") for name in ("cpu", "gpu", "container"))
COMMON = "# The same in every script of this folder, from here to the end.\n"
KMEANS = ("run", "kmeans", "--data", "b c.h5", "--clusters", "3")

# Slurm's commands as seen from a batch script; what they were told lies in files beside them.
SRUN = """#!/bin/bash
if [[ $1 == --mpi=list ]]; then printf 'MPI plugin types are...\\n\\tnone\\n\\tpmi2\\n'; exit; fi
printf '%s\\n' "$@" > srun.argv
env > srun.env
exec bash ranks.sh
"""
SCONTROL = """#!/bin/bash
echo "   PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime=${STUB_PREEMPTED:-None}"
"""
MPIEXEC = SRUN.replace("srun", "mpiexec")
# `-c` is the question which MPI it has; the rest is `-m hpcjobs requeue RUN`.
PYTHON = """#!/bin/bash
if [[ $1 == -c ]]; then echo "a warning of the site" >&2; echo "${STUB_MPI:-pmi2}"; exit; fi
printf '%s\\n' "$@" >> requeue.argv
"""
APPTAINER = """#!/bin/bash
while [[ $1 != *.sif ]]; do shift; done
exec "${@:2}"
"""
WAITS_FOR_A_SIGNAL = (
    "mkdir -p RUN; trap 'touch heard; sleep 0.5; exit 75' USR1 TERM; touch RUN/lease; while :; do sleep 0.05; done\n"
)
STARTS_SLOWLY = "mkdir -p RUN; touch started; until [[ -e go ]]; do sleep 0.05; done; " + WAITS_FOR_A_SIGNAL
STOPS_BY_ITSELF = "exit 75\n"


@dataclass(frozen=True)
class Node:
    """A folder that plays a node on which Slurm has started a batch script."""

    folder: Path

    def start(self, script: Path, *argv: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        clean = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": str(self.folder), "SLURM_JOB_ID": "7"}
        spooled = shutil.copy(script, self.folder / "slurm_script")  # Slurm runs a copy, too
        return subprocess.Popen(
            ["/bin/bash", spooled, *argv],
            cwd=self.folder,
            env=clean | {"HPCJOBS_PYTHON": f"{self.folder}/bin/python"} | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: Path, *argv: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        process = self.start(script, *argv, env=env)
        out = process.communicate(timeout=30)[0]
        assert process.returncode == code, out
        return out

    def told(self, name: str) -> list[str]:
        file = self.folder / f"{name}.argv"
        return file.read_text().splitlines() if file.exists() else []

    def ranks_saw(self, variable: str) -> str | None:
        lines = (self.folder / "srun.env").read_text().splitlines()
        return next((line.partition("=")[2] for line in lines if line.startswith(f"{variable}=")), None)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    for name, text in (
        ("srun", SRUN),
        ("scontrol", SCONTROL),
        ("mpiexec", MPIEXEC),
        ("python", PYTHON),
        ("apptainer", APPTAINER),
    ):
        made.write(f"bin/{name}", text)
    made.write("ranks.sh", "exit 0\n")
    return made


def after(words: list[str], word: str) -> list[str]:
    """What stands behind a word."""
    return words[words.index(word) + 1 :]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_bash_with_options_before_commands(script: Path) -> None:
    subprocess.run(["/bin/bash", "-n", script], check=True)
    lines = script.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert lines[0] == "#!/bin/bash"
    assert {line.split()[1].split("=")[0] for line in lines[:first] if line.startswith("#SBATCH")} >= {
        *("--job-name", "--time", "--signal", "--requeue", "--open-mode", "--output"),
    }
    assert not [line for line in lines[first:] if line.startswith("#SBATCH")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_satisfy_shellcheck(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck on this machine")
    ended = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_what_scripts_have_in_common_is_the_same_in_each() -> None:
    assert len(SCRIPTS) == 3
    assert len({script.read_text().partition(COMMON)[2] for script in SCRIPTS}) == 1
    assert all(COMMON in script.read_text() for script in SCRIPTS)


def test_ranks_are_started_by_srun_with_what_keeps_them_from_hanging(node: Node) -> None:
    node.run(CPU, *KMEANS, "--out", "a run", env={"SLURM_CPUS_PER_TASK": "4"})
    assert node.told("srun") == [
        *("--mpi=pmi2", "--kill-on-bad-exit=1", "--cpus-per-task=4"),
        *(f"{node.folder}/bin/python", "-m", "mpi4py", "-m", "hpcjobs", *KMEANS, "--out", "a run"),
    ]
    assert node.ranks_saw("SRUN_CPUS_PER_TASK") == "4"


def test_gpus_of_peers_stay_visible(node: Node) -> None:
    node.run(GPU, "resume", "RUN")
    assert "--gpu-bind=none" in node.told("srun")
    assert "--gpus-per-node=1" in GPU.read_text()


def test_a_run_without_a_folder_gets_one_named_after_its_job(node: Node) -> None:
    node.run(CPU, *KMEANS, env={"SLURM_SUBMIT_DIR": "/home/me"})
    assert node.told("srun")[-2:] == ["--out", "/home/me/runs/slurm-7"]


def test_options_of_submit_win_over_the_site(node: Node) -> None:
    node.write("other/python", PYTHON)
    node.run(
        CPU, "--python", f"{node.folder}/other/python", "--mpi", "none", "resume", "RUN", env={"HPCJOBS_MPI": "pmi2"}
    )
    assert node.told("srun")[0] == "--mpi=none"
    assert f"{node.folder}/other/python" in node.told("srun")


def test_a_task_of_an_array_resumes_its_own_folder(node: Node) -> None:
    node.write("SWEEP/sweep.json", "{}")
    node.run(CPU, "--offset", "08", "resume", "SWEEP", env={"SLURM_ARRAY_TASK_ID": "4"})
    assert after(node.told("srun"), "hpcjobs") == ["resume", "SWEEP/task-00012"]
    assert "expected a number" in node.run(CPU, "--offset", "a[$(touch x)]", "resume", "SWEEP", code=2)


def test_the_first_site_file_there_is_sets_up_the_job(node: Node) -> None:
    places = [".config/hpcjobs/site.sh", "submitted/site.sh", "RUN/site.sh", "named.sh"]  # the last wins
    for place in places:
        node.write(place, f"unset NOTHING; echo $UNSET; export SITE={place}\n")
        node.run(
            CPU,
            *("resume", "RUN"),
            env={"SLURM_SUBMIT_DIR": f"{node.folder}/submitted", "HPCJOBS_SITE": f"{node.folder}/named.sh"},
        )
        assert node.ranks_saw("SITE") == place


def test_what_a_surrounding_step_left_behind_does_not_reach_the_ranks(node: Node) -> None:
    left = {"PMI_SIZE": "8", "OMPI_COMM_WORLD_SIZE": "8", "PMIX_RANK": "3", "SLURM_EXPORT_ENV": "NONE"}
    node.run(CPU, "resume", "RUN", env=left)
    assert not [name for name in left if node.ranks_saw(name)]


def test_a_python_without_hpcjobs_is_told_with_its_node(node: Node) -> None:
    node.write("bin/python", "#!/bin/bash\necho \"ModuleNotFoundError: No module named 'hpcjobs'\" >&2; exit 1\n")
    said = node.run(CPU, "resume", "RUN", code=2)
    assert "/bin/python has no hpcjobs here (No module named 'hpcjobs'); set HPCJOBS_PYTHON" in said
    assert os.uname().nodename in said
    assert not node.told("srun")
    assert "No such file" in node.run(CPU, "--python", "/nowhere/python", "resume", "RUN", code=2)


def test_an_mpi_that_srun_lacks_is_refused_with_those_it_has(node: Node) -> None:
    said = node.run(CPU, "resume", "RUN", code=2, env={"STUB_MPI": "pmix"})
    assert "srun has no --mpi=pmix" in said
    assert "it has none pmi2; set HPCJOBS_MPI" in said
    assert "HPCJOBS_MPI=mpiexec" in said


def test_mpiexec_beside_python_starts_the_ranks_where_srun_cannot(node: Node) -> None:
    size = {"SLURM_NTASKS": "6", "SLURM_CPUS_PER_TASK": "2"}
    node.run(CPU, "resume", "RUN", env=size | {"HPCJOBS_MPI": "mpiexec"})
    assert node.told("mpiexec")[:3] == ["-n", "6", f"{node.folder}/bin/python"]
    assert "SLURM_CPUS_PER_TASK" not in (node.folder / "mpiexec.env").read_text()
    assert not node.told("srun")


@pytest.mark.parametrize("argv", [(), ("--mpi", "pmi2"), ("--nodes=2", "resume", "RUN")], ids=" ".join)
def test_a_wrong_command_is_refused(node: Node, argv: tuple[str, ...]) -> None:
    assert "hpcjobs script on" in node.run(CPU, *argv, code=2)


@pytest.mark.parametrize(
    ("script", "signals", "requeues"),
    [
        (CPU, [signal.SIGUSR1], True),
        (GPU, [signal.SIGUSR1], True),
        (CPU, [signal.SIGTERM], False),
        (CPU, [signal.SIGTERM, signal.SIGUSR1], False),
        (CPU, [signal.SIGUSR1, signal.SIGTERM], False),
    ],
)
def test_only_the_signal_before_the_time_limit_requeues(
    node: Node, script: Path, signals: list[signal.Signals], requeues: bool
) -> None:
    node.write("ranks.sh", WAITS_FOR_A_SIGNAL)
    process = node.start(script, *KMEANS, "--out=RUN")
    wait_until((node.folder / "RUN" / "lease").exists, "the ranks")
    for number in signals:
        process.send_signal(number)
        # bash 5.2 loses one of two signals that come at once while it waits; `hpcjobs requeue` asks Slurm for that.
        wait_until((node.folder / "heard").exists, "the signal")
    out = process.communicate(timeout=30)[0]
    assert process.returncode == 75, out
    assert node.told("requeue") == (["-m", "hpcjobs", "requeue", "RUN"] if requeues else [])


def test_ranks_that_are_still_starting_do_not_die_of_the_signal(node: Node) -> None:
    node.write("ranks.sh", STARTS_SLOWLY)
    process = node.start(CPU, *KMEANS, "--out=RUN")
    wait_until((node.folder / "started").exists, "the ranks")
    process.send_signal(signal.SIGUSR1)
    (node.folder / "go").touch()
    out = process.communicate(timeout=30)[0]
    assert process.returncode == 75, out
    assert node.told("requeue") == ["-m", "hpcjobs", "requeue", "RUN"]


def test_a_stop_of_the_ranks_alone_requeues_only_when_slurm_preempts(node: Node) -> None:
    node.write("ranks.sh", STOPS_BY_ITSELF)
    node.run(CPU, "resume", "RUN", code=75)
    assert not node.told("requeue")
    node.run(CPU, "resume", "RUN", code=75, env={"STUB_PREEMPTED": "2026-01-01T00:00:00"})
    assert node.told("requeue") == ["-m", "hpcjobs", "requeue", "--preempted", "RUN"]


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_the_exit_code_is_that_of_the_ranks(node: Node, code: int) -> None:
    node.write("ranks.sh", f"exit {code}\n")
    node.run(CPU, "resume", "RUN", code=code)
    assert not node.told("requeue")


def test_apptainer_runs_inside_srun_and_sees_the_folders(node: Node) -> None:
    (node.folder / "RUN").mkdir()
    node.write("bin/python3", PYTHON)
    node.write("images/hpcjobs.sif", "")
    environment = {"HPCJOBS_IMAGE": f"{node.folder}/images/hpcjobs.sif", "HPCJOBS_BIND": "/data,/scratch/me"}
    node.run(CONTAINER, "--python", "/outside/python", "resume", "RUN", env=environment)
    binds = [
        word for folder in (node.folder, node.folder / "RUN", "/data", "/scratch/me") for word in ("--bind", folder)
    ]
    exec_ = [f"{node.folder}/bin/apptainer", "exec", "--pwd", node.folder, *binds]
    assert node.told("srun") == [
        *("--mpi=pmi2", "--kill-on-bad-exit=1", "--cpus-per-task=1"),
        *(str(word) for word in exec_),
        *(environment["HPCJOBS_IMAGE"], "python3", "-m", "mpi4py", "-m", "hpcjobs", "resume", "RUN"),
    ]
    node.run(CONTAINER, "resume", "RUN", env=environment | {"SLURM_GPUS_ON_NODE": "2"})
    assert "--nv" in node.told("srun")
    assert "--gpu-bind=none" in node.told("srun")


@pytest.mark.parametrize(
    ("image", "handed_on"),
    [
        ("docker://registry.example#hpcjobs:1", "docker://registry.example#hpcjobs:1"),
        ("/images/hpcjobs.sqsh", "/images/hpcjobs.sqsh"),
        ("hpcjobs.sqsh", "./hpcjobs.sqsh"),
    ],
)
def test_pyxis_gets_the_image_and_the_folders(node: Node, image: str, handed_on: str) -> None:
    (node.folder / "RUN").mkdir()
    environment = {"HPCJOBS_IMAGE": image, "HPCJOBS_BIND": "/data", "HPCJOBS_IMAGE_PYTHON": "/opt/bin/python"}
    node.run(CONTAINER, "resume", "RUN", env=environment)
    here = node.folder
    assert node.told("srun") == [
        *("--mpi=pmi2", "--kill-on-bad-exit=1", "--cpus-per-task=1", f"--container-image={handed_on}"),
        *(f"--container-workdir={here}", f"--container-mounts={here}:{here},{here}/RUN:{here}/RUN,/data:/data"),
        *("/opt/bin/python", "-m", "mpi4py", "-m", "hpcjobs", "resume", "RUN"),
    ]


def test_a_container_that_cannot_be_started_is_refused(node: Node) -> None:
    assert "HPCJOBS_IMAGE is not set" in node.run(CONTAINER, "resume", "RUN", code=2)
    (node.folder / "bin" / "apptainer").unlink()
    without = node.run(CONTAINER, "resume", "RUN", code=2, env={"HPCJOBS_IMAGE": "/images/hpcjobs.sif"})
    assert "neither apptainer nor singularity" in without
    comma = node.run(CONTAINER, "resume", "RUN", code=2, env={"HPCJOBS_IMAGE": "/a.sqsh", "HPCJOBS_BIND": "/data:/d"})
    assert "no folder with a comma or a colon" in comma
