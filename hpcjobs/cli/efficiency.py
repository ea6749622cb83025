"""Say what a run has used of what it had asked for: cores, memory, GPUs, time."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.slurm.command import available
from hpcjobs.launch.slurm.steps import Step, steps
from hpcjobs.launch.watch.chosen import NAMES, choose
from hpcjobs.launch.watch.efficiency import Efficiency, in_words, measure
from hpcjobs.launch.watch.truth import look
from hpcjobs.runs import submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.wording import columns


def main(argv: list[str]) -> int:
    """`hpcjobs efficiency`: as Slurm's accounting and the attempts of the run tell."""
    parser = Parser(prog="hpcjobs efficiency", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{NAMES} (default: last)")
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    found = measured([run for chosen in choose(given.runs) for run in chosen.runs])
    if given.json:
        print(json.dumps(msgspec.to_builtins(found, enc_hook=str), indent=2))
        return 0
    for number, one in enumerate(found):
        title = f"{one.run.name}{f' (job {one.job_id})' if one.job_id else ''}"
        print("\n" * bool(number) + "\n".join([title, *(f"  {text}" for text in columns(in_words(one)))]))
    return 0


def measured(runs: Sequence[Path]) -> list[Efficiency]:
    """What each run has used; the tasks of one array cost one question."""
    told: dict[str, Sequence[Step]] = {}
    found = []
    for verdict in look(runs):
        number = verdict.job_id.partition("_")[0]
        if number and number not in told:
            told[number] = steps(number) if available() else []
        own = [step for step in told.get(number, []) if step.id.partition(".")[0] == verdict.job_id]
        record = submission.read(verdict.run) or submission.read(verdict.run.parent)
        resources = record.resources if record else {}
        outcome = RunFolder(verdict.run).read_outcome()
        found.append(measure(verdict.run, own, outcome, resources, verdict.job_id))
    return found
