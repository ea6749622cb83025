"""How an attempt ended, in `outcome.json`: done, stopped at a checkpoint, or failed and why.

The cause is one word for programs: finished, time_limit, terminated (SIGTERM in a Slurm job: cancelled or preempted),
preempted, interrupted, mistake or failed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hpcjobs.data.publish import publish_bytes
from hpcjobs.runs.folder import RunFolder

DONE, MISTAKE, STOPPED, FAILED = 0, 2, 75, 1


def now() -> str:
    """The time, as every file of ours writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(
    folder: RunFolder,
    code: int,
    reason: str,
    attempts: Sequence[Mapping[str, Any]],
    digest: str = "",
    check: Callable[[], None] = lambda: None,
    cause: str = "",
) -> None:
    """Publish how the attempt ended; `digest` is that of the result, `cause` is needed where the code does not tell."""
    content = {
        "state": {DONE: "done", STOPPED: "stopped"}.get(code, "failed"),
        "exit_code": code,
        "reason": reason,
        "cause": cause or {DONE: "finished", STOPPED: "interrupted", MISTAKE: "mistake"}.get(code, "failed"),
        "ended": now(),
        "digest": digest,
        "attempts": list(attempts),
    }
    publish_bytes(folder.outcome, (json.dumps(content, indent=2) + "\n").encode(), before_rename=check)
