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
from hpcjobs.launch.slurm.rows import Row
from hpcjobs.launch.slurm.states import base
from hpcjobs.launch.slurm.steps import Step, size
from hpcjobs.launch.watch.efficiency import amount, memory_asked, node_peak, tres
from hpcjobs.launch.watch.truth import Verdict

# More than was used at the peak, when memory did not do.
HEADROOM = 1.5
# What to ask for when nobody knows what was used.
UNKNOWN = 8 * 2**30
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
    again = f"hpcjobs submit {place}" if verdict.job_id else f"hpcjobs resume {place}"
    headline, command = f"{verdict.state}: {verdict.reason}".rstrip(": "), ""
    details: list[str] = []
    state = verdict.state
    if state in ("pending", "requeued") and verdict.slurm:
        headline, details, command = _waiting(place, verdict.job_id, verdict.slurm, controller)
    elif state == "done":
        headline = f"done: {verdict.run / 'result.h5'}"
    elif not verdict.ended:
        command = {"running": f"hpcjobs logs -f {place}", "not started": again}.get(state, "")
    elif state == "cancelled":
        command = again
    elif state == "failed" and outcome.get("cause") == "mistake":
        headline, details, command = "a mistake that you can mend", [str(outcome["reason"])], again
    elif _memory(state, steps, last_lines, controller):
        headline, details, command = _out_of_memory(place, resources, steps, controller)
    elif state == "time limit" or (state == "stopped" and outcome.get("cause") == "time_limit"):
        asked = str(resources.get("time") or controller.get("TimeLimit") or "")
        headline = f"time limit: {verdict.reason or reasons.state('TIMEOUT')}"
        details = [f"it had asked for --time {asked}"] if asked else []
        command = f"hpcjobs resume {place} --time {longer(asked)}"
    elif state == "node failure":
        nodes = controller.get("NodeList") or next((step.fields.get("NodeList", "") for step in steps), "")
        headline = f"node failure: {reasons.state('NODE_FAIL')}" + (f": {nodes}" if nodes else "")
        command = again
    else:
        details = [_ended(step) for step in steps if "." in step.id and step.exit != (0, 0)][-1:]
        command = again
    return Explanation(
        verdict.run, state, headline, details, command, str(log) if log else "", list(last_lines)[-LOG_LINES:]
    )


def _waiting(place: str, job: str, row: Row, controller: Mapping[str, str]) -> tuple[str, list[str], str]:
    """Why it is not running yet. The controller was asked just now; the row may be ten seconds old."""
    reason = controller.get("Reason") or row.reason
    meaning, advice = reasons.pending(reason, job)
    details = [advice] if advice else []
    details += [f"expected to start at {row.start}"] if row.start else []
    command = f"hpcjobs cancel {place}" if "Never" in reason else ""
    return f"job {job} waits: {meaning}", details, f"scontrol release {job}" if "scontrol" in advice else command


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
    whole = steps[0] if steps else Step("", {})
    nodes, cores = whole.number("NNodes") or 1, whole.number("AllocCPUS")
    fullest = max(steps, key=lambda step: node_peak(step, nodes) or 0, default=whole)
    used = node_peak(fullest, nodes) or 0
    asked = memory_asked(whole, tres(whole.fields.get("AllocTRES", "")), nodes, cores)
    if resources.get("mem"):
        asked = int(mebibytes(str(resources["mem"])) * 2**20)  # 0: all of the node
    asked = asked or size(controller.get("MinMemoryNode", "")) or 0
    details = [f"its largest rank had reached {amount(fullest.peak)} when last measured"] if fullest.peak else []
    if fullest.peak and used > fullest.peak:
        details[0] += f", which makes {amount(used)} on a node"
    details += [f"it had asked for {amount(asked)} on each node"] if asked else []
    wish = max(used, asked) * HEADROOM or UNKNOWN
    return "out of memory", details, f"hpcjobs resume {place} --mem {math.ceil(wish / 2**30)}G"


def _ended(step: Step) -> str:
    """How a step ended: by a signal, or with an exit code."""
    code, number = step.exit
    where = step.fields.get("NodeList", "")
    try:
        how = f"was ended by {signal.Signals(number).name}" if number else f"ended with exit code {code}"
    except ValueError:
        how = f"was ended by signal {number}"
    return f"step {step.id} {how}" + (f" on {where}" if where else "")
