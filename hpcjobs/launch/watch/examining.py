"""Gathering what there is to explain a run: its verdict, its steps, and the end of its log."""

from collections.abc import Sequence
from pathlib import Path

from hpcjobs.launch.slurm.command import available
from hpcjobs.launch.slurm.steps import controller, steps
from hpcjobs.launch.watch.truth import look
from hpcjobs.launch.watch.why import LOG_LINES, Explanation, explain
from hpcjobs.runs import logfile, submission
from hpcjobs.runs.folder import RunFolder


def examine(runs: Sequence[Path]) -> list[Explanation]:
    """Why each run is in the state that it is in."""
    found = []
    for verdict in look(runs):
        record = submission.read(verdict.run) or submission.read(verdict.run.parent)
        logs = logfile.logs(verdict.run)
        failed = verdict.ended and verdict.state != "done"
        slurm = verdict.job_id and available()
        found.append(
            explain(
                verdict,
                RunFolder(verdict.run).read_outcome(),
                record.resources if record else {},
                steps(verdict.job_id) if slurm and failed else [],
                controller(verdict.job_id) if slurm else {},
                logs[-1] if logs else None,
                logfile.tail(logs[-1], LOG_LINES) if logs and failed else [],
            )
        )
    return found
