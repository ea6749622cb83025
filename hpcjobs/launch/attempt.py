"""One attempt at a run, in this process, as one rank of however many there are."""

import os
from typing import Any

import msgspec

from hpcjobs.errors import UserError
from hpcjobs.jobs import find as find_job
from hpcjobs.parallel.census import take_census
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.runs import lease as leases
from hpcjobs.runs import outcome
from hpcjobs.runs.checkpoint import result_attributes
from hpcjobs.runs.context import Context, Stopped
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import Lease
from hpcjobs.runs.stopping import Stop

Attempts = list[dict[str, Any]]


def attempt(folder: RunFolder, communicator: Communicator) -> int:
    """Start or continue the run in `folder`; returns the exit code that all ranks agree on. Collective."""
    stop = Stop()
    census = take_census(communicator)
    wish = on_root(communicator, folder.read_settings)
    job = find_job(wish["job"])
    settings = msgspec.convert(wish["settings"], job.Settings)
    if finished(folder, wish, communicator):
        return outcome.DONE
    lease: Lease | None = None
    attempts: Attempts = []

    def begin() -> Attempts:
        nonlocal lease
        lease, begun = open_attempt(folder, communicator.size, len({entry["host"] for entry in census}))
        return begun

    attempts = on_root(communicator, begin)
    context = Context(wish["job"], wish, folder, communicator, lease, stop, census, attempts, mpi_version(communicator))

    def close(code: int, reason: str, **facts: str) -> None:
        if lease is not None:
            attempts[-1] |= {"ended": outcome.now(), "reason": reason}
            outcome.write(folder, code, reason, attempts, lease.check, **facts)
            lease.release()

    try:
        digest = job.run(settings, context)
    except Stopped:
        on_root(communicator, lambda: close(outcome.STOPPED, "stopped at a checkpoint by a signal"))
        context.progress.say(f"stopped at a checkpoint; continue with: hpcjobs resume {folder.path}")
        return outcome.STOPPED
    except UserError as mistake:
        # Every rank has raised the same mistake (on_root, on_all): the run ends in good order.
        on_root(communicator, lambda mistake=mistake: close(outcome.MISTAKE, str(mistake)))
        raise
    except BaseException as error:
        # Only this rank knows: no collective call from here on.
        outcome.write(folder, outcome.FAILED, f"{type(error).__name__} on rank {communicator.rank}: {error}", attempts)
        raise
    on_root(communicator, lambda: close(outcome.DONE, "finished", digest=digest))
    context.progress.say(f"done: {folder.result}  digest {digest[:16]}")
    return outcome.DONE


def finished(folder: RunFolder, wish: dict[str, Any], communicator: Communicator) -> bool:
    """Whether the result of exactly these settings is there already. Collective."""

    def look() -> bool:
        if not folder.result.exists():
            return False
        return result_attributes(folder.result).get("settings_digest") == settings_digest(wish["settings"])

    return on_root(communicator, look)


def open_attempt(folder: RunFolder, ranks: int, nodes: int) -> tuple[Lease, Attempts]:
    """Take the lease and list the attempts so far, one that was killed included, with this one at the end."""
    this = {
        "job_id": os.environ.get("SLURM_JOB_ID", ""),
        "ranks": ranks,
        "nodes": nodes,
        "started": outcome.now(),
        "ended": "",
        "first_step": 0,
        "last_step": 0,
        "reason": "running",
    }
    lease, previous = leases.take(folder, this)
    told: Attempts = list(folder.read_outcome().get("attempts", []))
    killed = previous.get("attempt")
    if killed and killed["started"] not in [known["started"] for known in told]:
        told.append(killed | {"reason": "killed"})
    return lease, [*told, this]
