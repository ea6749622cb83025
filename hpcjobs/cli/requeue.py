"""Put the Slurm job of a run back into the queue, if it may go on: the scripts call this."""

from hpcjobs.cli import Parser
from hpcjobs.launch.requeueing import DEFAULT, requeue
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find
from hpcjobs.runs.progress import say
from hpcjobs.settings import whole_number


def main(argv: list[str]) -> int:
    """`hpcjobs requeue`: from inside a job that has stopped at a checkpoint. Exit code 1 when it stays stopped."""
    parser = Parser(prog="hpcjobs requeue", description=__doc__)
    parser.add_argument("run", metavar="RUNDIR", help="the run that the surrounding Slurm job has worked on")
    parser.add_argument(
        "--max-requeues",
        type=whole_number,
        help=f"give up after so many time limits (default: as submitted, else {DEFAULT})",
    )
    parser.add_argument("--preempted", action="store_true", help="Slurm says that it was preempted, not cancelled")
    given = parser.parse(argv)
    refusal = requeue(RunFolder(find(given.run)), given.max_requeues, preempted=given.preempted)
    say("stopped at a checkpoint: requeued" if refusal is None else f"not requeued: {refusal}")
    return 0 if refusal is None else 1
