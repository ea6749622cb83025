"""Telling the user when Slurm does not answer, and how old what is shown of it is."""

import time
from collections.abc import Sequence

from hpcjobs.launch.slurm.cache import Cache
from hpcjobs.launch.slurm.command import available
from hpcjobs.launch.watch.truth import Verdict
from hpcjobs.runs.wording import span


def note(verdicts: Sequence[Verdict], cache: Cache) -> str:
    """What to say of Slurm's silence about these runs; nothing when it has answered, or does not matter."""
    if not any(found.job_id and not found.ended for found in verdicts) or not available():
        return ""
    said = cache.rows((), watching=True)  # it was asked a moment ago: this only reads the answer
    if not said.queue_problem:
        return ""
    shown = f"what it said {span(time.time() - said.asked)} ago is shown" if said.asked else "it has told nothing yet"
    return f"Slurm does not answer ({said.queue_problem}); {shown}"
