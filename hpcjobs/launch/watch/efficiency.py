"""What a job has used of what it had asked for: cores, memory, GPUs, time in the queue, work that was lost, energy.

A number that the site does not record is None, never 0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hpcjobs.launch.slurm.steps import Step, size
from hpcjobs.runs.wording import span

# Slurm's "no value" of 64 bits and its neighbour "infinite".
NO_VALUE = 2**64 - 2
DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)
# Below this share of what was asked for, asking for less starts sooner.
LITTLE = 0.5


@dataclass(frozen=True)
class Efficiency:
    """Used against asked for, of the newest start of a job; seconds, bytes and joules."""

    run: Path
    job_id: str
    elapsed_s: float | None
    wait_s: float | None  # from submission, or the last requeue, to the start
    cores: int | None
    cpu_used_s: float | None
    cpu_asked_s: float | None
    memory_peak: int | None  # of the fullest node
    memory_asked: int | None  # of each node
    gpus: int | None
    gpu_share: float | None  # 1: all of them busy all the time
    lost_node_s: float | None  # of attempts of which nothing was kept
    all_node_s: float | None  # of all attempts
    energy_j: float | None
    notes: list[str]


def measure(
    run: Path, steps: Sequence[Step], outcome: Mapping[str, Any], resources: Mapping[str, Any], job: str = ""
) -> Efficiency:
    """Weigh accounting's lines of a job (the job itself first) and the attempts that the run tells of."""
    whole = next((step for step in steps if "." not in step.id), None)
    nodes = (whole.number("NNodes") if whole else None) or 1
    given = tres(whole.fields.get("AllocTRES", "")) if whole else {}
    cores = (whole.number("AllocCPUS") if whole else None) or _whole(given.get("cpu", ""))
    elapsed = whole.number("ElapsedRaw") if whole else None
    used = seconds(whole.fields.get("TotalCPU", "")) if whole else None
    gpus = _whole(given.get("gres/gpu", ""))
    lost, spent, dated = lost_time(outcome.get("attempts", []))
    silent = "this site keeps no accounts of jobs" if job else "it ran on this machine, not as a job of Slurm's"
    notes = [] if steps else [f"{silent}: what was used is not known"]
    energy = joules(whole.fields.get("ConsumedEnergyRaw", "")) if whole else None
    if energy is not None and not resources.get("exclusive"):
        energy = None
        notes.append("its energy is not told: without --exclusive other jobs on its nodes are in that number too")
    if not dated:
        notes.append("attempts that were killed did not tell when they ended; they are left out of what was lost")
    if whole and whole.state == "RUNNING":
        notes.append("it still runs: Slurm tells of a step's cores and memory when the step has ended")
    return Efficiency(
        run=run,
        job_id=job or (whole.id if whole else ""),
        elapsed_s=elapsed,
        wait_s=_between(whole.fields.get("Submit", ""), whole.fields.get("Start", "")) if whole else None,
        cores=cores,
        cpu_used_s=used if used or any(step.peak for step in steps) else None,
        cpu_asked_s=cores * elapsed if cores and elapsed is not None else None,
        memory_peak=max((found for step in steps if (found := node_peak(step, nodes))), default=None),
        memory_asked=memory_asked(whole, given, nodes, cores) if whole else None,
        gpus=gpus,
        gpu_share=_gpu_share(steps, gpus),
        lost_node_s=lost,
        all_node_s=spent,
        energy_j=energy,
        notes=notes,
    )


def in_words(found: Efficiency) -> list[tuple[str, str]]:
    """What was measured, line by line, and what to ask for the next time."""
    lines = [("ran", span(found.elapsed_s)), ("waited", span(found.wait_s))]
    if found.cpu_used_s is not None and found.cpu_asked_s:
        share = found.cpu_used_s / found.cpu_asked_s
        lines.append(("cores", f"{share:.0%} of {found.cores} busy{_advice(share, 'ask for fewer')}"))
    if found.memory_peak and found.memory_asked:
        share = found.memory_peak / found.memory_asked
        text = f"{amount(found.memory_peak)} of {amount(found.memory_asked)} on the fullest node ({share:.0%})"
        lines.append(("memory", text + _advice(share, "ask for less")))
    elif found.memory_peak:
        lines.append(("memory", f"{amount(found.memory_peak)} on the fullest node"))
    if found.gpus:
        told = "the site does not record their use" if found.gpu_share is None else f"{found.gpu_share:.0%} busy"
        lines.append(("GPUs", f"{found.gpus}, {told}"))
    if found.lost_node_s and found.all_node_s:
        share = found.lost_node_s / found.all_node_s
        lines.append(("lost", f"{found.lost_node_s / 3600:.2f} node hours of failed attempts ({share:.0%})"))
    if found.energy_j is not None:
        lines.append(("energy", f"{found.energy_j / 3.6e6:.3g} kWh"))
    return [line for line in lines if line[1]] + [("note", note) for note in found.notes]


def seconds(text: str) -> float | None:
    """A span of Slurm's, `[days-][hours:]minutes:seconds`, in seconds."""
    found = DURATION.fullmatch(text)
    if not found:
        return None
    days, hours, minutes, rest = found.groups()
    return int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)


def tres(text: str) -> dict[str, str]:
    """`cpu=4,mem=8G,gres/gpu=2` by name."""
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def joules(text: str) -> float | None:
    """Energy where a counter has been read; Slurm writes 0 where there is none."""
    return float(text) if text.isdigit() and 0 < int(text) < NO_VALUE else None


def node_peak(step: Step, nodes: int) -> int | None:
    """Memory that the fullest node had in use, if all tasks of a step were as large as its largest."""
    if not step.peak:
        return None
    on_nodes = min(step.number("NNodes") or nodes, nodes)
    return step.peak * -(-(step.number("NTasks") or 1) // on_nodes)


def memory_asked(whole: Step, given: Mapping[str, str], nodes: int, cores: int | None) -> int | None:
    """Memory of each node: what was allocated; else what was asked for, by the letter that old releases put behind."""
    allocated = size(given.get("mem", ""))
    if allocated:
        return allocated // nodes
    text = whole.fields.get("ReqMem", "")
    asked = size(text)
    if not asked:
        return None
    if text.endswith("c"):  # of each core
        return asked * cores // nodes if cores else None
    return asked if text.endswith("n") else asked // nodes


def lost_time(attempts: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, bool]:
    """Node seconds of attempts that kept nothing, those of all, and whether every attempt told when it ended."""
    lost, spent, dated = 0.0, 0.0, True
    for attempt in attempts:
        span_s = _between(attempt.get("started", ""), attempt.get("ended", ""))
        if span_s is None:
            dated = False
            continue
        node_s = span_s * max(1, attempt.get("nodes", 1))
        spent += node_s
        if attempt.get("last_step", 0) <= attempt.get("first_step", 0) and attempt.get("reason") != "finished":
            lost += node_s
    return (lost, spent, dated) if spent else (None, None, dated)


def amount(number: float) -> str:
    """Bytes in MiB or GiB, Slurm's M and G."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def _gpu_share(steps: Sequence[Step], gpus: int | None) -> float | None:
    """The largest use that a step made of the GPUs; the site must gather gres/gpuutil."""
    used = [_whole(tres(step.fields.get("TRESUsageInTot", "")).get("gres/gpuutil", "")) for step in steps]
    told = [value for value in used if value is not None]
    return min(1.0, max(told) / (100 * gpus)) if told and gpus else None


def _advice(share: float, text: str) -> str:
    return f"; {text} the next time" if share < LITTLE else ""


def _between(earlier: str, later: str) -> float | None:
    """Seconds between two times, both of Slurm or both of ours."""
    try:
        return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    return int(text) if text.isdigit() else None
