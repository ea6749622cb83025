"""Why a run waits or how it failed, in words, and the command that helps, ready to paste."""

import math
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcjobs.launch.resources import mebibytes, minutes
from hpcjobs.launch.slurm import reasons
from hpcjobs.launch.slurm.states import base, waiting
from hpcjobs.launch.slurm.steps import Step, size
from hpcjobs.launch.truth import Verdict

# More than was used at the peak, when memory did not do.
HEADROOM = 1.5
LOG_LINES = 20
# What cgroups and Slurm's own watchdog write into a log when they kill for memory.
MEMORY_WORDS = (
    "oom-kill",
    "oom_kill",
    "out of memory",
    "exceeded memory limit",
    "memoryerror",
    "cannot allocate memory",
)


@dataclass(frozen=True)
class Explanation:
    """What the user needs to know, and what to paste."""

    run: Path
    state: str
    headline: str
    details: list[str]
    command: str
    log: str
    last_lines: list[str]


def explain(
    verdict: Verdict,
    outcome: Mapping[str, Any],
    resources: Mapping[str, Any],
    steps: Sequence[Step],
    controller: Mapping[str, str],
    log: Path | None,
    last_lines: Sequence[str],
) -> Explanation:
    """Weigh what Slurm's steps, the run's own outcome and its log say. `resources` are those that were asked for."""
    place = shlex.quote(str(verdict.run))
    again = f"hpcjobs resume {place}" if not verdict.job_id else f"hpcjobs submit {place}"
    headline, details, command = f"{verdict.state}: {verdict.reason}".rstrip(": "), [], ""
    state = verdict.state
    if verdict.slurm and waiting(verdict.slurm.state):
        headline, advice = reasons.pending(verdict.slurm.reason, verdict.job_id)
        headline = f"job {verdict.job_id} waits: {headline}"
        details = [advice] if advice else []
        details += [f"expected to start at {verdict.slurm.start}"] if verdict.slurm.start else []
    elif state == "done":
        headline = f"done: {verdict.run / 'result.h5'}"
    elif state == "cancelled":
        command = again
    elif not verdict.ended:
        command = "hpcjobs logs -f " + place if state == "running" else ""
        command = again if state == "not started" else command
    elif _memory(state, steps, last_lines, controller):
        headline, details, command = _out_of_memory(place, resources, steps, controller)
    elif state == "time limit" or outcome.get("cause") == "time_limit":
        asked = str(resources.get("time") or controller.get("TimeLimit") or "")
        headline = f"time limit: {verdict.reason or 'it reached its limit before it had saved and stopped'}"
        details = [f"it asked for --time {asked}"] if asked else []
        command = f"hpcjobs resume {place} --time {longer(asked)}"
    elif outcome.get("cause") == "mistake":
        headline, details = "a mistake that you can mend", [str(outcome["reason"])]
        command = again
    elif state == "node failure":
        nodes = controller.get("NodeList") or next((step.fields.get("NodeList", "") for step in steps), "")
        headline = f"node failure: {reasons.state('NODE_FAIL')}" + (f": {nodes}" if nodes else "")
        command = again
    else:
        details = [_killed(step) for step in steps if step.exit[1]][:1]
        command = again
    return Explanation(
        verdict.run, state, headline, details, command, str(log) if log else "", list(last_lines)[-LOG_LINES:]
    )


def longer(asked: str) -> str:
    """Twice a time limit, as sbatch reads it."""
    try:
        total = math.ceil(2 * minutes(asked))
    except ValueError:
        total = 120
    days, rest = divmod(total, 1440)
    return f"{days}-{rest // 60:02}:{rest % 60:02}:00" if days else f"{rest // 60:02}:{rest % 60:02}:00"


def _memory(state: str, steps: Sequence[Step], lines: Sequence[str], controller: Mapping[str, str]) -> bool:
    """Whether memory was the cause: said by Slurm of the job or of a step, or by the log of a killed one."""
    if state == "out of memory" or any(step.state == "OUT_OF_MEMORY" or step.exit == (0, 125) for step in steps):
        return True
    if base(controller.get("JobState", "")) == "OUT_OF_MEMORY":
        return True
    text = "\n".join(lines).lower()
    return any(word in text for word in MEMORY_WORDS)


def _out_of_memory(
    place: str, resources: Mapping[str, Any], steps: Sequence[Step], controller: Mapping[str, str]
) -> tuple[str, list[str], str]:
    """Peak against request, and what to ask for."""
    peak = max((step.peak or 0 for step in steps), default=0)
    tasks = max((step.number("NTasks") or 1 for step in steps), default=1)
    nodes = max((step.number("NNodes") or 1 for step in steps), default=1)
    asked = size(str(resources.get("mem") or controller.get("MinMemoryNode") or ""))
    if resources.get("mem") and str(resources["mem"]).isdigit():
        asked = int(mebibytes(str(resources["mem"])) * 2**20)
    used = peak * -(-tasks // nodes)  # the largest task, times the tasks of a node
    details = []
    if peak:
        details.append(
            f"its largest rank had reached {used_text(peak)} when last measured, {used_text(used)} on a node"
        )
    if asked:
        details.append(f"it had asked for {used_text(asked)} on each node")
    wish = max(used, asked or 0) * HEADROOM or 4 * 2**30
    return "out of memory", details, f"hpcjobs resume {place} --mem {math.ceil(wish / 2**30)}G"


def used_text(amount: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def _killed(step: Step) -> str:
    number = step.exit[1]
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    where = step.fields.get("NodeList", "")
    return f"step {step.id} was ended by {name}" + (f" on {where}" if where else "")
