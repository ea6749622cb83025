"""One attempt at a run, in this process, as one rank of however many there are."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hpcjobs.errors import UserError
from hpcjobs.jobs import find as find_job
from hpcjobs.launch.requeueing import was_cancelled
from hpcjobs.launch.slurm.control import over
from hpcjobs.parallel.census import take_census
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.runs import outcome
from hpcjobs.runs.context import Context, Stopped
from hpcjobs.runs.folder import RunFolder, settings_of
from hpcjobs.runs.lease import Lease, slurm_cluster, take
from hpcjobs.runs.making import private
from hpcjobs.runs.process import slurm_job, slurm_restarts
from hpcjobs.runs.progress import say
from hpcjobs.runs.records import stopped_by
from hpcjobs.runs.stopping import Stop, cause
from hpcjobs.runs.story import finished, tell

TERMINATED = stopped_by("SIGTERM")
# How long ranks wait for each other when they should all have found the same mistake.
AGREEMENT_S = 10.0


def attempt(folder: RunFolder, communicator: Communicator, stop: Stop) -> int:
    """Start or continue the run in `folder`; returns the exit code that all ranks agree on. Collective."""
    stop.listen()
    census = take_census(communicator)
    wish = on_root(communicator, folder.read_settings)
    private(wish["share"])
    job = find_job(on_root(communicator, folder.job), folder.code)
    # Plain values travel: the Settings of a job in a file cannot be pickled.
    values = on_root(communicator, lambda: msgspec.to_builtins(settings_of(folder, job.Settings)))
    settings = msgspec.convert(values, job.Settings)
    speaks = communicator.rank == 0
    if on_root(communicator, lambda: folder.read_outcome().get("state") == "done" and finished(folder, job.Settings)):
        say(f"already done: {folder.result}", speaks)
        return outcome.DONE
    if on_root(communicator, lambda: stays_cancelled(folder)):
        say(f"cancelled: not continued; to go on all the same: hpcjobs resume {folder.path}", speaks)
        return outcome.STOPPED
    nodes = len({entry["host"] for entry in census})
    begun = on_root(communicator, lambda: begin(folder, communicator.size, nodes))
    lease = Lease(folder.lease, begun[-1]["id"], beats=speaks)
    if on_root(communicator, lambda: leave_finished(folder, job.Settings, begun, lease)):
        say(f"already done: {folder.result}", speaks)
        return outcome.DONE
    context = Context(wish, job.Settings, folder, communicator, lease, stop, census, begun)

    def end(code: int, reason: str, digest: str = "", why: str = "") -> None:
        begun[-1] |= {"ended": outcome.now(), "reason": reason}
        outcome.write(folder, code, reason, begun, digest, lease.check, why)
        folder.live.unlink(missing_ok=True)
        if code == outcome.DONE:
            folder.progress.unlink(missing_ok=True)
        lease.release()

    try:
        digest = job.run(settings, context)
        on_root(communicator, lambda: end(outcome.DONE, "finished", digest))
    except Stopped as asked:
        number = signal.Signals(asked.args[0])
        reason = stopped_by(number.name)
        on_root(communicator, lambda: end(outcome.STOPPED, reason, why=cause(number)))
        say(f"stopped at a checkpoint; continue with: hpcjobs resume {folder.path}", speaks)
        return outcome.STOPPED
    except UserError as mistake:  # raised on every rank (on_root, on_all), so the run ends in good order
        reason = str(mistake)
        with _not_alone(folder, begun, f"rank {communicator.rank} alone: {reason}"):
            on_root(communicator, lambda: end(outcome.MISTAKE, reason) if lease.ours() else None)
        raise
    except BaseException as error:  # known to this rank only: no collective call from here on
        reason = f"rank {communicator.rank}: {type(error).__name__}: {error}"
        begun[-1] |= {"ended": outcome.now(), "reason": f"failed: {reason}"}
        with contextlib.suppress(UserError, OSError):  # what went wrong first is what the user must see
            outcome.write(folder, outcome.FAILED, reason, begun, check=lease.check)
            lease.release()
        raise
    say(f"done: {folder.result}  digest {digest[:16]}", speaks)
    return outcome.DONE


@contextlib.contextmanager
def _not_alone(folder: RunFolder, begun: Sequence[dict[str, Any]], reason: str) -> Iterator[None]:
    """End this rank, and the others with it, when they do not join it: only a job with a fault gets there."""

    def give_up() -> None:
        with contextlib.suppress(UserError, OSError):
            outcome.write(folder, outcome.FAILED, reason, begun)
        say(f"failed: {reason}")
        os._exit(1)

    timer = threading.Timer(AGREEMENT_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def stays_cancelled(folder: RunFolder) -> bool:
    """Whether Slurm has started a job again that was cancelled: after the loss of a node, where scancel had failed."""
    return slurm_restarts() > 0 and was_cancelled(folder, slurm_job())


def begin(folder: RunFolder, ranks: int, nodes: int) -> Sequence[dict[str, Any]]:
    """Take the lease; the attempts so far, killed ones included, with this one at the end."""
    step = folder.newest_step()
    this = {
        "job_id": slurm_job(),
        "restarts": slurm_restarts(),
        "cluster": slurm_cluster(),
        "ranks": ranks,
        "nodes": nodes,
        "started": outcome.now(),
        "ended": "",
        "first_step": step,
        "last_step": step,
        "reason": "running",
    }
    attempts = take(folder, this, folder.read_outcome().get("attempts", []), over)
    for before in attempts[:-1]:  # the job was started again, so it had not been cancelled
        if before["job_id"] == this["job_id"] != "" and before["reason"] == TERMINATED:
            before["reason"] = f"preempted: {TERMINATED}"
    folder.checkpoints.mkdir(exist_ok=True)
    for left in (*folder.path.glob(".*.h5.*.tmp"), *folder.checkpoints.glob(".*.tmp")):
        left.unlink(missing_ok=True)  # half-written by an attempt that was killed
    return attempts


def leave_finished(
    folder: RunFolder, settings: type[msgspec.Struct], begun: Sequence[dict[str, Any]], lease: Lease
) -> bool:
    """Whether there is nothing left to do; then the folder is given back, with an outcome that says so."""
    try:
        done = finished(folder, settings)
    except UserError:
        lease.release()
        raise
    if done and folder.read_outcome().get("state") != "done":  # killed between result and outcome
        digest = tell(folder.result)["digest"]
        outcome.write(folder, outcome.DONE, "finished", begun[:-1], digest, lease.check)
    if done:
        lease.release()
    return done
