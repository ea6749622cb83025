"""What the small JSON files of a run folder hold: each is read against its declaration here."""

from typing import Any

import msgspec


def stopped_by(signal: str) -> str:
    """The reason of an attempt that a signal ended in good order; who counts attempts looks for it."""
    return f"stopped by {signal} at a checkpoint"


class Wish(msgspec.Struct, frozen=True):
    """What `settings.json` holds: what was asked for."""

    job: str
    settings: dict[str, Any]
    run_uuid: str
    name: str = ""
    tags: list[str] = []
    share: str = ""  # "group": readable by the user's group
    code: str = ""  # SHA-256 of the user's own code in `code/`, "" for a job that is installed


class Attempt(msgspec.Struct, frozen=True):
    """One attempt, as `outcome.json` and the lease tell of it."""

    id: str
    ranks: int = 0
    nodes: int = 0
    started: str = ""
    first_step: int = 0
    last_step: int = 0
    reason: str = ""
    ended: str = ""
    job_id: str = ""
    restarts: int = 0  # how often Slurm had started the job before
    cluster: str = ""  # of the job: another cluster counts its jobs for itself


class Outcome(msgspec.Struct, frozen=True):
    """What `outcome.json` holds: how the last attempt ended."""

    state: str
    exit_code: int
    reason: str
    ended: str
    digest: str
    attempts: list[Attempt]
    cause: str = ""


class Reached(msgspec.Struct, frozen=True):
    """What `progress.json` holds: how far the attempt that runs has come."""

    step: int
    total: int
    detail: str
    rate: float  # steps a second
    seconds_left: float
    time: str


class Cancelled(msgspec.Struct, frozen=True):
    """What the cancel mark holds: the Slurm jobs that must not go on by themselves, and attempts without one."""

    jobs: list[str]
    time: str
