"""A job of two ranks that tries what a login node cannot know: the way to start ranks, and what the nodes see."""

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import SlurmError
from hpcjobs.launch.child import last_object, telling
from hpcjobs.launch.slurm import control
from hpcjobs.launch.slurm.command import ask
from hpcjobs.runs.process import home

SUBMIT_S = 60.0
LOOK_EVERY_S = 0.25
ASK_EVERY_S = 3.0
LATE_S = 5.0  # a shared file system may show what a job wrote only after a while
RANKS = 2
# The whole of what runs on the node; everything that differs comes as arguments.
SCRIPT = r"""#!/bin/bash
# The trial job of `hpcjobs setup`: sbatch trial.sbatch FOLDER PYTHON MARK "FOLDERS" WAY ...
#SBATCH --job-name=hpcjobs-trial
#SBATCH --time=5
#SBATCH --no-requeue
folder=$1 python=$2 mark=$3 places=$4
shift 4
if [[ -r $folder/site.sh ]]; then source "$folder/site.sh"; fi
export PYTHONSAFEPATH=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
uname -n >"$folder/node"
[[ -n $mark && -e $mark ]] && : >"$folder/home-is-shared"
while IFS= read -r place; do
  if [[ -n $place ]] && mkdir -p "$place" 2>/dev/null && : 2>/dev/null >"$place/.hpcjobs-trial"; then
    rm -f "$place/.hpcjobs-trial"
    printf '%s\n' "$place" >>"$folder/writable"
  fi
done <<<"$places"
if "$python" -c 'import hpcjobs' >"$folder/python.err" 2>&1; then
  : >"$folder/python-is-there"
  for way in "$@"; do
    if [[ $way == mpiexec ]]; then
      beside=$(dirname "$python")/mpiexec
      start=("$([[ -x $beside ]] && echo "$beside" || echo mpiexec)" -n 2)
    else
      start=(srun "--mpi=$way" --kill-on-bad-exit=1 --ntasks=2)
      # As in the scripts that come with hpcjobs.
      netmod=$("$python" -c 'from hpcjobs.parallel.library import netmod; print(netmod())' 2>/dev/null)
      [[ $way != pmi2 || -z $netmod ]] || export MPIR_CVAR_CH4_NETMOD=${MPIR_CVAR_CH4_NETMOD:-$netmod}
    fi
    timeout -k 5 60 "${start[@]}" "$python" -m mpi4py -m hpcjobs.launch.setup.trial \
      >"$folder/$way.out" 2>"$folder/$way.err"
    grep -q '"ranks": 2' "$folder/$way.out" && break
  done
fi
mv "$folder/begun" "$folder/ended"
"""


@dataclass(frozen=True)
class Trial:
    """What came of the trial job."""

    job_id: str
    way: str = ""  # what started two ranks that saw each other; "" where nothing did
    hosts: list[str] = field(default_factory=list)
    node: str = ""
    python: bool = False  # whether a node runs this Python and finds hpcjobs
    home_is_shared: bool = False
    writable: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)  # way, or python: the last thing it said


def run(
    folder: Path,
    setup: bytes,
    ways: Sequence[str],
    places: Sequence[Path],
    options: Sequence[str],
    *,
    limit_s: float,
    tell: Callable[[str], None],
) -> Trial:
    """Submit the job, wait for it, and read what it found; SlurmError when it cannot start or does not end in time."""
    mark = (home() or folder) / f".hpcjobs-trial-{secrets.token_hex(4)}"
    place = folder / f"trial-{secrets.token_hex(4)}"
    try:
        place.mkdir(parents=True, mode=0o700)
        publish_bytes(mark, b"")
        for name, content in (("site.sh", setup), ("trial.sbatch", SCRIPT.encode()), ("begun", b"")):
            publish_bytes(place / name, content)
        job = _submit(place, mark, ways, places, options)
        tell(f"waiting for job {job}, which tries to start {RANKS} ranks")
        try:
            _wait(job, place, limit_s)
        except BaseException:  # Ctrl-C included: its folder goes, so it goes as well
            ask(["scancel", job])
            raise
        return _read(job, place, ways)
    finally:
        mark.unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def _submit(place: Path, mark: Path, ways: Sequence[str], places: Sequence[Path], options: Sequence[str]) -> str:
    argv = ["sbatch", "--parsable", f"--output={str(place).replace('%', '%%')}/log", *options]
    argv += [str(place / "trial.sbatch"), str(place), sys.executable, str(mark)]
    answer = ask([*argv, "\n".join(map(str, places)), *ways], SUBMIT_S)
    job = next((line.split(";")[0].strip() for line in reversed(answer.out.splitlines()) if line[:1].isdigit()), "")
    if answer.code != 0 or not job.isdigit():
        raise SlurmError(
            f"the trial job was not taken: {answer.problem}; name a partition or an account that takes it "
            "(--partition, --account), or leave it out with --no-probe"
        )
    return job


def _wait(job: str, place: Path, limit_s: float) -> None:
    """Until the job has ended, by its own word or Slurm's."""
    began = asked = time.monotonic()
    state = "PENDING"
    while not _ended(place):
        now = time.monotonic()
        if now - began > limit_s:
            raise SlurmError(
                f"trial job {job} was still {state.lower()} after {limit_s:g} s, and was cancelled: try again when the "
                "queue is shorter, with another --partition, with more time (--wait), or without it (--no-probe)"
            )
        if now - asked > ASK_EVERY_S:
            asked, state = now, control.state(job) or state
        if control.ended(state):
            late = time.monotonic() + LATE_S
            while not _ended(place) and time.monotonic() < late:
                time.sleep(LOOK_EVERY_S)
            if _ended(place):
                return
            where = f"ended as {state}" if state != "gone" else "ended"
            raise SlurmError(
                f"trial job {job} {where}, and nothing it wrote is seen here in {place.parent}: do the nodes see that "
                f"folder? Name one that they share with --folder{_said(place / 'log')}"
            )
        time.sleep(LOOK_EVERY_S)


def _ended(place: Path) -> bool:
    """Whether the script came to its end. Reading the folder, unlike asking for a name, refreshes what NFS knows."""
    return any(path.name == "ended" for path in place.iterdir())


def _read(job: str, place: Path, ways: Sequence[str]) -> Trial:
    problems, way, hosts = {}, "", []
    for name in ways:
        told = last_object(_text(place / f"{name}.out"))
        if told.get("ranks") == RANKS:
            way, hosts = name, list(told["hosts"])
            break
        if (place / f"{name}.err").exists():
            problems[name] = _last(place / f"{name}.err") or "it took more than a minute"
    python = (place / "python-is-there").exists()
    if not python:
        problems["python"] = _last(place / "python.err") or _last(place / "log")
    writable = _text(place / "writable").splitlines()
    shared = (place / "home-is-shared").exists()
    return Trial(job, way, hosts, _text(place / "node").strip(), python, shared, writable, problems)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _last(path: Path) -> str:
    return telling(_text(path))


def _said(path: Path) -> str:
    last = _last(path)
    return f"; the last it said: {last}" if last else ""


def rank() -> int:
    """What each rank of the trial does: see the others, and tell of them on rank 0."""
    from hpcjobs.parallel.census import take_census
    from hpcjobs.parallel.starter import world

    communicator = world()
    entries = take_census(communicator)
    if communicator.rank == 0:
        hosts = sorted({str(entry["host"]) for entry in entries})
        print(json.dumps({"ranks": communicator.size, "hosts": hosts}), flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(rank())
