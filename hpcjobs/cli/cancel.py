"""Stop runs for good: a run that is cancelled saves, ends, and is not requeued."""

import json

import msgspec

from hpcjobs.cli import Parser
from hpcjobs.launch.cancelling import cancel
from hpcjobs.launch.chosen import NAMES, choose
from hpcjobs.runs.progress import say


def main(argv: list[str]) -> int:
    """`hpcjobs cancel`: runs of Slurm, or of this machine."""
    parser = Parser(prog="hpcjobs cancel", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help=NAMES)
    parser.add_argument("--json", action="store_true", help="a JSON list on stdout, one object a run")
    given = parser.parse(argv)
    found = cancel([run for chosen in choose(given.runs) for run in chosen.runs])
    if given.json:
        print(json.dumps(msgspec.to_builtins(found, enc_hook=str), indent=2))
        return 0
    for one in found:
        job = f" (job {one.job_id})" if one.job_id else ""
        say(f"{one.run.name}{job}: " + ("told to stop" if one.asked else f"nothing to stop: {one.state}"))
    return 0
