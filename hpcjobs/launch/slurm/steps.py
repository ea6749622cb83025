"""The steps of one job: which one failed, how, and how much memory it had used by then."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpcjobs.launch.slurm import command, query
from hpcjobs.launch.slurm.states import base

COLUMNS = (
    "JobID", "State", "ExitCode", "DerivedExitCode", "Submit", "Start", "End", "ElapsedRaw", "TimelimitRaw", "NNodes",
    "NTasks", "AllocCPUS", "ReqMem", "MaxRSS", "TotalCPU", "AllocTRES", "TRESUsageInTot", "ConsumedEnergyRaw",
    "NodeList", "Restarts",
)  # fmt: skip
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
SIZE = re.compile(r"([0-9.]+)([KMGTP]?)[a-z]?", re.ASCII)


@dataclass(frozen=True)
class Step:
    """One line of accounting: a job (`12`), or one of its steps (`12.batch`, `12.0`)."""

    id: str
    fields: Mapping[str, str]

    @property
    def state(self) -> str:
        return base(self.fields.get("State", ""))

    @property
    def exit(self) -> tuple[int, int]:
        """Exit code and signal."""
        code, _, number = self.fields.get("ExitCode", "").partition(":")
        return (int(code) if code.isdigit() else 0, int(number) if number.isdigit() else 0)

    @property
    def peak(self) -> int | None:
        """Memory of its largest task in bytes."""
        return size(self.fields.get("MaxRSS", ""))

    def number(self, name: str) -> int | None:
        """A column that holds a whole number; None where it is empty."""
        text = self.fields.get(name, "")
        return int(text) if text.isdigit() else None


def steps(job: str) -> Sequence[Step]:
    """The job and its steps, of its newest start; none where there is no accounting."""
    found = query.columns([f"--jobs={job}"], COLUMNS)
    return [] if isinstance(found, query.Problem) else [Step(fields["JobID"], fields) for fields in found]


def controller(job: str) -> dict[str, str]:
    """What the controller still knows of a job: `Key=Value` by key; empty when it does not know it."""
    answer = command.ask(["scontrol", "show", "job", "-o", job])
    if answer.code != 0 or not answer.out.strip():
        return {}
    return dict(re.findall(r"(\S+?)=(\S*)", answer.out.strip().splitlines()[0]))


def size(text: str) -> int | None:
    """A size of Slurm's in bytes: `40G`, `512000K`, `4Gn` and `4Gc` of older ones without their last letter."""
    found = SIZE.fullmatch(text)
    return int(float(found[1]) * UNITS[found[2]]) if found else None
