"""From how each rank ended to the outcome of the test, with every culprit named."""

import re
import signal
from dataclasses import dataclass

from harness.launch import Ended
from harness.processes import RankEnd

MACHINERY = ("/_pytest/", "/pluggy/", "/mpi4py/", "<frozen runpy>", "/pytest/__main__.py")
COMMUNICATION = "/hpcjobs/parallel/mpi.py"  # a rank that stands here waits for the others
FRAME = re.compile(r'File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)')
LINES = 60  # of a rank's output and stack


@dataclass(frozen=True)
class Verdict:
    """The outcome of a test on all its ranks: passed, skipped or failed, and why."""

    outcome: str
    text: str


def judge(ended: Ended, limit: float) -> Verdict:
    """Passed when every rank passed and ended in order, skipped when every rank skipped, else failed."""
    ranks = ended.ranks
    outcomes = {end.outcome for end in ranks}
    if ended.code == 0 and not any(end.code for end in ranks):
        if outcomes == {"passed"}:
            return Verdict("passed", "")
        if outcomes == {"skipped"}:
            return Verdict("skipped", ranks[0].text)
    broke = any(end.broke for end in ranks)
    dead = [end.ended_at for end in ranks if end.outcome is None and end.ended_at is not None]
    first_death = min(dead, default=0)
    states = [state(end, broke, first_death, limit, outcomes) for end in ranks]
    culprits = [f"rank {rank} of {len(ranks)} {text}" for rank, (guilty, text) in enumerate(states) if guilty]
    culprits.sort(key=lambda text: "waits for" in text)  # whom they wait for comes first
    culprits = culprits or [f"all {len(ranks)} ranks reported, but {launcher_state(ended, limit)}"]
    blocks = [
        f"---- rank {rank} of {len(ranks)} {text}\n{detail(end)}".rstrip()
        for rank, (end, (_, text)) in enumerate(zip(ranks, states, strict=True))
    ]
    return Verdict("failed", "\n".join(["; ".join(culprits), *blocks, *launcher_words(ended)]))


def state(end: RankEnd, broke: bool, first_death: int, limit: float, outcomes: set[str | None]) -> tuple[bool, str]:
    """Whether a rank is to blame, and what became of it."""
    if end.outcome == "failed":
        return True, f"failed{reason(end.text)}"
    if end.outcome == "none":
        return True, "found no test to run"
    if end.outcome == "skipped":
        return outcomes >= {"skipped", "passed"}, f"skipped: {end.text}"
    if end.outcome == "passed":
        return bool(end.code), "passed" + (f", but then ended with {code_name(end.code)}" if end.code else "")
    if not end.started:
        return True, "never started"
    if end.code is not None and end.ended_at == first_death:
        return True, f"crashed: {code_name(end.code)}, without a report"
    if broke:
        return False, "had not come to its end when another rank broke, and was ended"
    return True, f"{place(end)}: no report within {limit:g} s"


def frames(end: RankEnd) -> list[str]:
    """The stack of a rank, latest call first, without that of pytest itself."""
    return [line for line in end.stack.splitlines() if not any(word in line for word in MACHINERY)]


def place(end: RankEnd) -> str:
    """What a rank does that does not report."""
    latest = next(filter(None, map(FRAME.search, frames(end))), None)
    if latest is None:
        return "hangs"
    if latest["file"].endswith(COMMUNICATION):
        return f"waits for the others in {latest['function']}"
    return f"hangs in {latest['function']} ({latest['file']}:{latest['line']})"


def reason(text: str) -> str:
    """The line of a traceback that says what is wrong."""
    return next((f": {line[1:].strip()}" for line in text.splitlines() if line.startswith("E ")), "")


def code_name(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def detail(end: RankEnd) -> str:
    """What there is to read about one rank that did not simply pass."""
    if end.outcome is not None:
        return end.text if end.outcome == "failed" else ""
    stack = frames(end)[:LINES]
    printed = end.printed.splitlines()[-LINES:]
    parts = [[end.text] if end.text else []]
    parts += [["it stood at:", *stack] if stack else []]
    parts += [["it printed:", *printed] if printed else []]
    return "\n".join(line for part in parts for line in part)


def launcher_state(ended: Ended, limit: float) -> str:
    """Why a launch with nothing but good reports is no success."""
    if ended.code is None:
        return f"their processes did not end within {limit:g} s"
    return f"mpiexec ended with {code_name(ended.code)}"


def launcher_words(ended: Ended) -> list[str]:
    """What the launcher itself said, when it is the one to ask."""
    if ended.printed and not all(end.started for end in ended.ranks):
        return ["---- mpiexec printed", *ended.printed.splitlines()[-LINES:]]
    return []
