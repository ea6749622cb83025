"""A run folder becomes a Slurm job: what is sent, and the record of it, written before it is sent."""

import getpass
import hashlib
import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import SlurmError
from hpcjobs.launch.resources import Resources, arguments
from hpcjobs.launch.slurm import control, sending
from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.runs import submission
from hpcjobs.runs.outcome import now
from hpcjobs.runs.submission import Sent, Submission


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


def command(run: Path, order: Order, batch: Batch, token: str) -> list[str]:
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


def submit(run: Path, order: Order, batches: Sequence[Batch] = (Batch(),)) -> list[str]:
    """Send a run (or the tasks of a sweep) to Slurm; returns the job ids. What was sent before is settled first."""
    record = submission.read(run)
    unsure = {sent.token for sent in record.open_intents()} if record else set()
    before = settle(run)
    arrived = [sent.job_id for sent in before.sent if sent.token in unsure and sent.job_id] if before else []
    if arrived:
        return arrived  # Slurm had taken it after all
    if not batches[0].array:  # the tasks of a sweep are chosen among those that have ended
        refuse_running(run, before)
    publish_bytes(run / "job.sbatch", order.script)
    record = Submission(
        name=order.label,
        python=sys.executable,
        mpi=order.mpi,
        script=hashlib.sha256(order.script).hexdigest(),
        max_requeues=order.max_requeues,
        user=user(),
        resources=msgspec.to_builtins(order.resources),
        sent=before.sent if before else [],
    )
    ids = []
    for batch in batches:
        token = secrets.token_hex(4)
        argv = command(run, order, batch, token)
        intent = Sent(token, argv, now(), array=batch.array, offset=batch.offset)
        submission.write(run, msgspec.structs.replace(record, sent=[*record.sent, intent]))
        try:
            accepted = sending.send(argv, job_name(order.label, token))
        except sending.UnknownFateError:
            raise
        except SlurmError as error:
            told = msgspec.structs.replace(intent, refused=str(error))
            submission.write(run, msgspec.structs.replace(record, sent=[*record.sent, told]))
            raise
        done = msgspec.structs.replace(intent, job_id=accepted.job_id, cluster=accepted.cluster)
        record = msgspec.structs.replace(record, sent=[*record.sent, done])
        submission.write(run, record)
        ids.append(accepted.job_id)
    Cache.open().fresh()
    return ids


def settle(run: Path) -> Submission | None:
    """What was sent for a run, each call of unknown fate looked up; SlurmError when Slurm does not answer."""
    record = submission.read(run)
    if record is None or not record.open_intents():
        return record
    settled = []
    for sent in record.sent:
        if not sent.job_id and not sent.refused:
            found = sending.jobs_named(job_name(record.name, sent.token))
            if found is None:
                raise sending.UnknownFateError(
                    f"{run}: an earlier submission is open, and the Slurm controller does not answer whether it took "
                    "it; try again later"
                )
            refused = "" if found else "never reached Slurm"
            sent = msgspec.structs.replace(sent, job_id=found[0].job_id if found else "", refused=refused)
        settled.append(sent)
    record = msgspec.structs.replace(record, sent=settled)
    submission.write(run, record)
    return record


def refuse_running(run: Path, before: Submission | None) -> None:
    """Refuse to send a run that Slurm still has: two jobs on one folder would only wait for each other."""
    job = before.job_of() if before else ""
    says = control.state(job).split(" ")[0] if job else "gone"
    if says not in (*control.FINAL, "gone", ""):
        raise SlurmError(
            f"{run}: job {job} is {says.lower()}; wait for it, or end it first: hpcjobs cancel {shlex.quote(str(run))}"
        )


def user() -> str:
    """The user's name; the number where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
