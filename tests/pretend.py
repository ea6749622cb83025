"""Slurm's commands as scripts on PATH that say what a test has written down, and list how they were called."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from command import start

from hpcjobs.runs import making, outcome, submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import remember
from hpcjobs.runs.submission import Sent, Submission
from hpcjobs.runs.sweeps import Sweep, Task, task_folder, write

DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
ASKING = """#!/bin/bash
here={folder}
echo "${{0##*/}} $*" >> "$here/journal"
if [[ -e $here/down ]]; then echo "{down}" >&2; exit 1; fi
"""
QUEUE = """for option; do
  if [[ $option == --jobs=* ]]; then
    grep "^${option#--jobs=}|" "$here/queue" 2>/dev/null && exit 0
    echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1
  fi
done
cat "$here/queue" 2>/dev/null; exit 0
"""
SCRIPTS = {
    "squeue": QUEUE,
    "sacct": '[[ -e $here/accounts ]] && cat "$here/accounts" && exit 0\n'
    'echo "Slurm accounting storage is disabled" >&2; exit 1\n',
    "scancel": "[[ -e $here/gone ]] || exit 0\n"
    'for job; do echo "scancel: error: Kill job error on job id $job: Invalid job id specified" >&2; done; exit 1\n',
    "scontrol": "exit 1\n",
    "sbatch": "exit 1\n",
}


@dataclass(frozen=True)
class Pretend:
    """What the scripts say, in files that a test may change at any moment."""

    folder: Path

    def environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def queue(self, **jobs: str) -> None:
        """What squeue says: `job12="RUNNING"`, `job12_3="PENDING Priority"`."""
        lines = []
        for name, said in jobs.items():
            state, _, reason = said.partition(" ")
            lines.append(f"{name.removeprefix('job')}|{state}|N/A|N/A|1:00|1|main|{reason or 'None'}|x-00000000\n")
        draft = self.folder / "queue.new"
        draft.write_text("".join(lines))
        draft.rename(self.folder / "queue")

    def account(self, lines: str) -> None:
        """What sacct says; before, this site keeps no accounts."""
        (self.folder / "accounts").write_text(lines)

    def break_down(self) -> None:
        """The controller does not answer any more."""
        (self.folder / "down").touch()

    def forget(self) -> None:
        """scancel knows none of the jobs any more."""
        (self.folder / "gone").touch()

    def calls(self, command: str) -> list[list[str]]:
        """The arguments of each call of one command."""
        path = self.folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words for line in lines if (words := line.split())[0] == command]


def pretend(folder: Path) -> Pretend:
    """Make the scripts."""
    (folder / "bin").mkdir(parents=True)
    for name, body in SCRIPTS.items():
        path = folder / "bin" / name
        path.write_text(ASKING.format(folder=folder, down=DOWN) + body)
        path.chmod(0o755)
    return Pretend(folder)


def sent(run: Path, *jobs: str, arrays: Mapping[str, tuple[str, int]] | None = None, when: str = "") -> None:
    """Write down that a run was submitted, as jobs of these numbers: arrays with their indices and offset."""
    calls = [
        Sent(f"{number:08x}", ["sbatch"], when or "2026-01-01T00:00:00Z", job, *(arrays or {}).get(job, ("", 0)))
        for number, job in enumerate(jobs)
    ]
    submission.write(run, Submission("x", "/usr/bin/python3", "", "0" * 64, 10, "me", {}, calls))


def new_run(path: Path, tags: Sequence[str] = (), **settings: object) -> RunFolder:
    """A run folder as `submit` makes it, of a job that nobody has to have."""
    return making.create(path, "elsewhere", settings, tags=tags)


def new_sweep(path: Path, count: int) -> list[RunFolder]:
    """A sweep as `submit --sweep` makes it."""
    tasks = [Task(number, task_folder(number), {"seed": number}) for number in range(count)]
    folders = [making.create(path / task.folder, "elsewhere", task.settings, listed=False) for task in tasks]
    write(path, Sweep("elsewhere", tasks))
    remember(path)
    return folders


def end(folder: RunFolder, code: int, reason: str, *, job: str = "", cause: str = "", step: int = 7) -> None:
    """Let a run tell how it ended, now."""
    attempt = {"id": "0" * 16, "job_id": job, "last_step": step, "started": outcome.now(), "ended": outcome.now()}
    outcome.write(folder, code, reason, [attempt], cause=cause)


@contextlib.contextmanager
def watcher(cwd: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Start a command that watches; it ends with the block, also when a test fails there."""
    with start(cwd, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()
