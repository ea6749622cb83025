"""A run folder becomes a Slurm job: what is sent, and the record of it, written before it is sent."""

import getpass
import hashlib
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import SlurmError
from hpcjobs.launch.resources import Resources, arguments
from hpcjobs.launch.slurm import command, control, sending
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.runs import submission
from hpcjobs.runs.outcome import now
from hpcjobs.runs.submission import Sent, Submission
from hpcjobs.runs.turn import turn
from hpcjobs.runs.wording import seconds_since

# A call of sbatch that was made this long ago has been answered, or given up by sbatch itself.
UNDER_WAY_S = 240.0
EMPTY = Submission("", "", "", "", 0, "", {}, [])


@dataclass(frozen=True)
class Order:
    """How runs shall be sent: resources, script, and what the script is told."""

    label: str
    resources: Resources
    script: bytes
    mpi: str = ""
    max_requeues: int = 10


@dataclass(frozen=True)
class Batch:
    """One call of sbatch: a single run, or tasks of a sweep as an array; task = offset + index."""

    array: str = ""
    offset: int = 0


def call(run: Path, order: Order, batch: Batch, token: str) -> list[str]:
    """The call of sbatch, as a list of arguments."""
    place = str(run).replace("%", "%%")
    log = f"{place}/log-%A_%a.out" if batch.array else f"{place}/log-%j.out"
    return [
        "sbatch",
        "--parsable",
        f"--job-name={job_name(order.label, token)}",
        f"--output={log}",
        "--open-mode=append",
        "--requeue",
        *([f"--array={batch.array}"] if batch.array else []),
        *arguments(order.resources),
        str(run / "job.sbatch"),
        "--python",
        sys.executable,
        *(["--mpi", order.mpi] if order.mpi else []),
        *(["--offset", str(batch.offset)] if batch.offset else []),
        "resume",
        str(run),
    ]


def job_name(label: str, token: str) -> str:
    """The job's name in the queue: readable, and with a token that no other submission has."""
    return f"{label}-{token}"


def dispatch(run: Path, order: Order, batches: Sequence[Batch], make: Callable[[], object]) -> list[str]:
    """`make` the folder, or its changes, and send it (tasks of a sweep as arrays); the job ids.

    What was sent before is settled first. A folder that was not there is not left behind when Slurm refuses it.
    """
    command.require()
    fresh = not run.exists()
    if fresh:
        make()
    with turn(run):
        unsure = {sent.token for sent in (submission.read(run) or EMPTY).open_intents()}
        before = _settled(run) or EMPTY
        arrived = [sent.job_id for sent in before.sent if sent.token in unsure and sent.job_id]
        if arrived:
            return arrived  # Slurm had taken it after all
        if not batches[0].array:  # the tasks of a sweep are chosen among those that have ended
            refuse_running(run, before)
        if not fresh:
            make()
        try:
            return _send(run, order, batches, before)
        except sending.RefusedError:
            record = submission.read(run)
            if fresh and record and not any(sent.job_id for sent in record.sent):
                shutil.rmtree(run)
            raise


def _send(run: Path, order: Order, batches: Sequence[Batch], before: Submission) -> list[str]:
    """Each call of sbatch: the intent on the disk first, then the number."""
    publish_bytes(run / "job.sbatch", order.script)
    record = Submission(
        name=order.label,
        python=sys.executable,
        mpi=order.mpi,
        script=hashlib.sha256(order.script).hexdigest(),
        max_requeues=order.max_requeues,
        user=user(),
        resources=msgspec.to_builtins(order.resources),
        sent=before.sent,
    )
    for batch in batches:
        token = secrets.token_hex(4)
        argv = call(run, order, batch, token)
        intent = Sent(token, argv, now(), array=batch.array, offset=batch.offset)
        submission.write(run, msgspec.structs.replace(record, sent=[*record.sent, intent]))
        try:
            job = sending.send(argv, job_name(order.label, token))
        except sending.UnknownFateError:
            raise
        except SlurmError as error:
            told = msgspec.structs.replace(intent, refused=str(error))
            submission.write(run, msgspec.structs.replace(record, sent=[*record.sent, told]))
            raise
        record = msgspec.structs.replace(record, sent=[*record.sent, msgspec.structs.replace(intent, job_id=job)])
        submission.write(run, record)
    Cache.open().fresh()
    return [sent.job_id for sent in record.sent[len(before.sent) :]]


def settle(run: Path) -> Submission | None:
    """What was sent for a run, each call of unknown fate looked up; SlurmError when Slurm does not answer."""
    record = submission.read(run)
    if record is None or not record.open_intents():
        return record
    with turn(run):
        return _settled(run)


def _settled(run: Path) -> Submission | None:
    record = submission.read(run)
    if record is None or not record.open_intents():
        return record
    sent = [_looked_up(run, record, one) if one in record.open_intents() else one for one in record.sent]
    record = msgspec.structs.replace(record, sent=sent)
    submission.write(run, record)
    return record


def _looked_up(run: Path, record: Submission, sent: Sent) -> Sent:
    """What became of one call; one that was made a moment ago may still be on its way."""
    name = job_name(record.name, sent.token)
    age = seconds_since(sent.submitted)
    if age is None or age < UNDER_WAY_S:
        found = sending.look_again(name)
    else:
        known = sending.jobs_named(name)
        if known is None:
            raise sending.UnknownFateError(
                f"{run}: an earlier submission is open, and Slurm does not answer whether it took it; try again later"
            )
        found = known[0] if known else ""
    return msgspec.structs.replace(sent, job_id=found, refused="" if found else "never reached Slurm")


def refuse_running(run: Path, before: Submission) -> None:
    """Refuse to send a run that Slurm still has: two jobs on one folder would only wait for each other."""
    job = before.job_of()
    says = control.state(job) if job else ""
    if says and not control.ended(says):
        raise SlurmError(
            f"{run}: job {job} is {says.lower()}; wait for it, or end it first: hpcjobs cancel {shlex.quote(str(run))}"
        )


def user() -> str:
    """The user's name; the number where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
