"""A job as Slurm tells of it, whoever was asked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One job, or one task of an array, in the words of squeue, sacct or scontrol."""

    id: str  # "12", or "12_3" for a task of an array
    state: str  # as Slurm says it: PENDING, RUNNING, NODE_FAIL ...
    reason: str = ""  # why it waits, or why it ended
    exit_code: str = ""  # "code:signal" where known
    start: str = ""  # Slurm's local time, or empty
    end: str = ""
    limit: str = ""  # time limit as Slurm prints it
    nodes: str = ""
    name: str = ""
    partition: str = ""
