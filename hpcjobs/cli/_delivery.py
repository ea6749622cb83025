"""What every form of `submit` ends with: show what would be sent, or make the folder and send it."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcjobs import settings
from hpcjobs.cli import Parser
from hpcjobs.errors import SettingsError, SlurmError
from hpcjobs.launch import ordering, submitting
from hpcjobs.launch.resources import arguments
from hpcjobs.launch.slurm import command
from hpcjobs.launch.slurm.sending import refusal
from hpcjobs.launch.submitting import Batch, Order
from hpcjobs.runs.progress import say, tell
from hpcjobs.settings import whole_number


@dataclass(frozen=True)
class Manner:
    """The flags that say how much really happens."""

    dry: bool
    test: bool
    at_once: int | None

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Manner":
        """What the flags say, taken out of what was given."""
        test, at_once = given.pop("test_only"), given.pop("at_once")
        if at_once is not None and at_once < 1:
            raise SettingsError(f"--at-once is {at_once}: expected at least 1")
        return cls(given.pop("dry_run") or test, test, at_once)


@dataclass(frozen=True)
class Parcel:
    """What is sent, and the folder that it will lie in."""

    path: Path
    order: Order
    need: str  # of memory, in words
    batches: Sequence[Batch] = (Batch(),)


def add_slurm(parser: Parser) -> None:
    """The flags that every form of `submit` has."""
    group = parser.add_argument_group("Slurm")
    settings.add_flags(group, ordering.declared())
    group.add_argument("--at-once", type=whole_number, metavar="N", help="tasks of a sweep that run at a time")
    group.add_argument("--dry-run", action="store_true", help="print command and script; send nothing, make nothing")
    group.add_argument("--test-only", action="store_true", help="the same, and Slurm says when it would start")


def slurm_flags() -> set[str]:
    """Every flag that only makes sense for a job that is sent to Slurm."""
    parser = argparse.ArgumentParser(add_help=False)
    settings.add_flags(parser, ordering.declared())
    return {flag for action in parser._actions for flag in action.option_strings}


def deliver(parcel: Parcel, manner: Manner, make: Callable[[], object]) -> int:
    """Show it, or `make` its folder and send it; the ids stand alone on stdout."""
    if manner.at_once and not any(batch.array for batch in parcel.batches):
        raise SettingsError("--at-once is for the tasks of a sweep, and this is one run; leave it out")
    if manner.dry:
        return show(parcel, test=manner.test)
    say(f"run folder {parcel.path}")
    if parcel.need:
        say(parcel.need)
    for job in submitting.dispatch(parcel.path, parcel.order, parcel.batches, make):
        print(job)
    return 0


def show(parcel: Parcel, *, test: bool) -> int:
    """What would be sent: the commands, then the script, as bash would read them."""
    for batch in parcel.batches:
        print(shlex.join(submitting.call(parcel.path, parcel.order, batch, "TOKEN")))
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n" + parcel.order.script)
    sys.stdout.buffer.flush()
    if parcel.need:
        say(parcel.need)
    if test:
        command.require()
        for batch in parcel.batches:
            tell(f"{expected_start(parcel.order, batch)}\n")
    return 0


def expected_start(order: Order, batch: Batch) -> str:
    """What Slurm says of the start of a job that is not sent; SlurmError when it would not take it."""
    array = [f"--array={batch.array}"] if batch.array else []
    argv = ["sbatch", "--test-only", *array, *arguments(order.resources), "--wrap=true"]
    answer = command.ask(argv)
    if answer.code != 0:
        raise SlurmError(f"Slurm would refuse the job: {refusal(answer.problem)}")
    return answer.problem
