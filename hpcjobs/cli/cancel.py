"""Stop runs for good: a run that is cancelled saves, ends, and is not requeued."""

import json
from collections import Counter
from collections.abc import Sequence

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.watch.cancelling import Cancellation, cancel
from hpcjobs.launch.watch.chosen import NAMES, choose
from hpcjobs.runs.progress import say


def main(argv: list[str]) -> int:
    """`hpcjobs cancel`: runs of Slurm, or of this machine. Exit code 0 also when they had ended already."""
    parser = Parser(prog="hpcjobs cancel", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help=NAMES)
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    chosen = choose(given.runs)
    found = cancel(list(dict.fromkeys(run for one in chosen for run in one.runs)))
    if given.json:
        print(json.dumps(msgspec.to_builtins(found, enc_hook=str), indent=2))
        return 0
    by_run = {one.run: one for one in found}
    for one in chosen:
        name = one.path.name
        say(of_sweep(name, [by_run[run] for run in one.runs]) if one.tasks else of_run(name, by_run[one.path]))
    return 0


def of_run(name: str, one: Cancellation) -> str:
    """What became of a run, in words."""
    job = f" (job {one.job_id})" if one.job_id else ""
    return f"{name}{job}: {f'told to stop; it was {one.state}' if one.asked else f'nothing to stop: {one.state}'}"


def of_sweep(name: str, tasks: Sequence[Cancellation]) -> str:
    """What became of the tasks of a sweep."""
    asked = Counter(one.state for one in tasks if one.asked)
    left = Counter(one.state for one in tasks if not one.asked)
    parts = [f"{len(list(asked.elements()))} of {len(tasks)} tasks told to stop"] if asked else ["nothing to stop"]
    parts += [f"they were {_counted(asked)}"] if asked else []
    parts += [f"{_counted(left)} before" if asked else _counted(left)] if left else []
    return f"{name}: {'; '.join(parts)}"


def _counted(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.most_common())
