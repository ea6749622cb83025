"""`hpcjobs setup` finds out how a cluster starts ranks, by a trial job, and writes down what worked, nothing else."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import hpcjobs, refused

# Slurm at its edge. A job is the script in the background; srun starts the ranks of one of its types, and singletons
# of the others, as it does with a library that does not fit.
SBATCH = """#!/bin/bash
echo "sbatch $*" >>"$STUB/calls"
[[ -e $STUB/refuse ]] && { echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1; }
while [[ $1 == --* ]]; do [[ $1 == --output=* ]] && log=${1#--output=}; shift; done
script=$1; shift
echo "*** banner ***"
[[ -d $STUB/broken ]] && export PYTHONPATH=$STUB/broken
[[ -e $STUB/no-python ]] && set -- "$1" /nowhere/bin/python "${@:3}"
if [[ ! -e $STUB/full ]]; then
  (setsid bash "$script" "$@" >"$log" 2>&1 </dev/null; echo COMPLETED >"$STUB/state") >/dev/null 2>&1 &
fi
echo "41;stub"
"""
SRUN = """#!/bin/bash
if [[ $1 == --mpi=list ]]; then
  printf 'srun: MPI types are...\\nsrun: none\\n' >&2
  for type in $STUB_TYPES; do echo "srun: $type" >&2; done
  exit 0
fi
type=${1#--mpi=}
while [[ $1 == --* ]]; do shift; done
if [[ " $STUB_FITS " == *" $type "* ]]; then exec "$MPIEXEC" -n 2 "$@"; fi
export SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2
SLURM_PROCID=0 "$@"; SLURM_PROCID=1 "$@"
"""
SINFO = """#!/bin/bash
echo "main*|up|infinite|3|2|4096|(null)|1-infinite|all|(null)"
echo "short|up|2:00|1|2|4096|gpu:a100:4|1-infinite|all|(null)"
"""
SACCTMGR = '#!/bin/bash\n[[ -n $STUB_ACCOUNTS ]] || exit 1\nprintf "%s\\n" $STUB_ACCOUNTS\n'
SQUEUE = '#!/bin/bash\n[[ -e $STUB/state ]] && cat "$STUB/state" || echo PENDING\n'
SCANCEL = '#!/bin/bash\necho "scancel $*" >>"$STUB/calls"\n'


@dataclass(frozen=True)
class Login:
    """A login node of a pretended cluster, and a home of the test's own."""

    work: Path
    stub: Path
    home: Path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {"STUB": str(self.stub), "HOME": str(self.home), "MPIEXEC": str(Path(sys.executable).parent / "mpiexec")}
        path = f"{self.stub / 'bin'}{os.pathsep}{os.environ['PATH']}"
        types = {"STUB_TYPES": "pmi2 pmix", "STUB_FITS": "pmi2", "STUB_ACCOUNTS": "", "LOADEDMODULES": ""}
        cleared = {"SCRATCH": "", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "PATH": path}
        return kept | types | cleared | extra

    def setup(self, *flags: object, **extra: str) -> "subprocess.CompletedProcess[str]":
        return hpcjobs(self.work, "setup", *flags, env=self.environment(**extra))

    def refused(self, *flags: object, **extra: str) -> str:
        ended = hpcjobs(self.work, "setup", *flags, code=2, env=self.environment(**extra))
        assert "Traceback" not in ended.stderr
        return ended.stderr

    def calls(self) -> str:
        path = self.stub / "calls"
        return path.read_text() if path.exists() else ""

    def toml(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "site.toml").read_text())

    @property
    def folder(self) -> Path:
        return self.home / ".config" / "hpcjobs"

    def left(self) -> list[str]:
        """What lies in home beside the two files and what Slurm told of its limits."""
        files = {str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()}
        return sorted(name for name in files if not name.startswith(".config/hpcjobs/site."))


@pytest.fixture
def login(tmp_path: Path) -> Login:
    (tmp_path / "stub" / "bin").mkdir(parents=True)
    scripts = {"sbatch": SBATCH, "srun": SRUN, "sinfo": SINFO, "sacctmgr": SACCTMGR, "squeue": SQUEUE}
    for name, text in (scripts | {"scancel": SCANCEL}).items():
        (tmp_path / "stub" / "bin" / name).write_text(text)
        (tmp_path / "stub" / "bin" / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    return Login(tmp_path / "work", tmp_path / "stub", tmp_path / "home")


def test_what_a_trial_job_showed_is_written_down(login: Login) -> None:
    ended = login.setup("--yes", STUB_ACCOUNTS="physics chemistry")
    assert "pmi2 (tried)" in ended.stdout
    assert "your home is seen there" in ended.stdout
    assert "accounts        chemistry, physics" in ended.stdout
    assert "4 a100; time: 0:02:00" in ended.stdout
    assert login.toml() == {"mpi": "pmi2", "resources": {}}
    shell = f"set -eu; source {login.folder / 'site.sh'}; echo $HPCJOBS_PYTHON $HPCJOBS_MPI"
    told = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.split()
    assert told == [sys.executable, "pmi2"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in login.folder.iterdir()}
    assert modes == {"site.toml": 0o600, "site.sh": 0o600}
    assert "--nodes=2 --ntasks-per-node=1" in login.calls()


def test_nothing_is_left_of_the_trial(login: Login) -> None:
    login.setup("--yes")
    assert [name for name in login.left() if "trial" in name] == []
    assert list((login.work / "state" / "hpcjobs").glob("trial-*")) == []


def test_the_second_way_is_taken_where_the_first_gives_singletons(login: Login) -> None:
    told = json.loads(login.setup("--json", STUB_FITS="pmix").stdout)
    assert told["mpi"] == "pmix"
    assert told["trial"]["way"] == "pmix"
    assert "but each sees an MPI world of 1" in told["trial"]["problems"]["pmi2"]
    assert login.toml()["mpi"] == "pmix"


def test_mpiexec_is_taken_where_srun_starts_nothing(login: Login) -> None:
    told = json.loads(login.setup("--json", STUB_TYPES="cray_shasta").stdout)
    assert (told["mpi"], told["trial"]["way"], told["tried"]) == ("mpiexec", "mpiexec", True)
    assert login.toml()["mpi"] == "mpiexec"


def test_nothing_is_written_where_no_way_works(login: Login) -> None:
    (login.stub / "broken" / "mpi4py").mkdir(parents=True)
    (login.stub / "broken" / "mpi4py" / "__init__.py").write_text("raise ImportError('libmpi.so.12 is not there')\n")
    said = login.refused("--yes")
    assert "nothing was written, as no way to start ranks was found" in said
    assert "two ranks did not find each other (pmi2: ImportError: libmpi.so.12 is not there; pmix: ImportError" in said
    assert not login.folder.exists()


def test_nodes_without_this_python_are_told_of_with_ways_to_bring_it(login: Login) -> None:
    (login.stub / "no-python").touch()
    said = login.refused("--yes")
    assert f"node {os.uname().nodename} does not run this Python" in said
    assert "No such file or directory" in said and "pip install --no-index --find-links wheelhouse" in said
    assert not login.folder.exists()


def test_defaults_that_were_named_are_kept(login: Login) -> None:
    login.setup("--yes", "--partition", "short", "--account", "physics")
    assert login.toml() == {"mpi": "pmi2", "resources": {"partition": "short", "account": "physics"}}
    call = login.calls()
    assert "--nodes=1 --ntasks=2 --time=2 --partition=short --account=physics" in call


def test_a_file_that_is_there_is_shown_and_kept(login: Login) -> None:
    login.folder.mkdir(parents=True)
    own = 'mpi = "mpiexec"\n[resources]\nqos = "mine"\n'
    (login.folder / "site.toml").write_text(own)
    ended = login.setup("--yes")
    assert (login.folder / "site.toml").read_text() == own
    assert '-qos = "mine"' in ended.stderr and '+mpi = "pmi2"' in ended.stderr and "--force" in ended.stderr
    assert (login.folder / "site.sh").exists()
    login.setup("--yes", "--force")
    assert login.toml() == {"mpi": "pmi2", "resources": {}}
    again = json.loads(login.setup("--json").stdout)
    assert again["written"] == [] and len(again["kept"]) == 2


def test_no_job_is_sent_without_the_probe(login: Login) -> None:
    ended = login.setup("--yes", "--no-probe")
    assert "pmi2 (not tried)" in ended.stdout
    assert login.calls() == ""
    assert login.toml()["mpi"] == "pmi2"


def test_modules_that_are_loaded_are_loaded_by_jobs(login: Login, tmp_path: Path) -> None:
    login.setup("--yes", "--no-probe", LOADEDMODULES="gcc/13:openmpi/5.0 $(touch canary)")
    init = tmp_path / "modules" / "init"
    init.mkdir(parents=True)
    (init / "bash").write_text('module() { printf "<%s>" "$@"; }\n')
    shell = f"export MODULESHOME={tmp_path / 'modules'}; source {login.folder / 'site.sh'}"
    told = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, cwd=login.work).stdout
    assert told == "<load><gcc/13><openmpi/5.0 $(touch canary)>"
    assert not (login.work / "canary").exists()


def test_scratch_that_nodes_can_write_takes_compiled_code_where_home_cannot(login: Login, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    blocked = tmp_path / "no folder"
    blocked.write_text("")
    ended = login.setup("--yes", SCRATCH=str(tmp_path / "scratch"), XDG_CACHE_HOME=str(blocked))
    assert f"{tmp_path / 'scratch'} (" in ended.stdout
    text = (login.folder / "site.sh").read_text()
    assert f"export NUMBA_CACHE_DIR={tmp_path / 'scratch'}/.hpcjobs-numba\n" in text
    assert list((tmp_path / "scratch").iterdir()) == []


def test_each_mistake_says_what_to_do(login: Login) -> None:
    assert "did you mean 'short'?" in login.refused("--partition", "shor")
    assert "--wait -3: expected a number of seconds" in login.refused("--wait", "-3")
    (login.stub / "refuse").touch()
    said = login.refused("--yes")
    assert "the trial job was not taken" in said and "Invalid account" in said and "--no-probe" in said
    assert login.left() == []


def test_a_queue_that_is_full_is_not_waited_for_for_ever(login: Login) -> None:
    (login.stub / "full").touch()
    said = login.refused("--yes", "--wait", "1")
    assert "trial job 41 was still pending after 1 s, and was cancelled" in said
    assert "scancel 41" in login.calls()
    assert not login.folder.exists() and login.left() == []


def test_a_job_that_ends_without_a_word_means_a_folder_that_nodes_do_not_see(login: Login) -> None:
    (login.stub / "full").touch()
    (login.stub / "state").write_text("FAILED\n")
    said = login.refused("--yes", "--wait", "60")
    assert "trial job 41 ended as FAILED" in said and "--folder" in said


def test_without_slurm_it_says_so(login: Login) -> None:
    shutil.rmtree(login.stub / "bin")
    (login.stub / "bin").mkdir()
    (login.stub / "bin" / "bash").symlink_to(shutil.which("bash") or "/bin/bash")
    path = str(login.stub / "bin")
    assert "there is no sbatch" in refused(login.work, "setup", env={"PATH": path, "HOME": str(login.home)})
