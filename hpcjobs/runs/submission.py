"""What was sent to Slurm for a run: written before sbatch is called, so that no job is ever sent twice or forgotten."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import RunFolderError


class Sent(msgspec.Struct, frozen=True):
    """One call of sbatch: an intent while `job_id` is empty."""

    token: str  # ends the job's name, so that Slurm can be asked whether it took the job
    command: list[str]
    submitted: str
    job_id: str = ""
    array: str = ""  # indices of an array job, "" for a single one
    offset: int = 0  # number of the task = offset + index of the array
    refused: str = ""  # what Slurm said when it would not take the job


class Submission(msgspec.Struct, frozen=True):
    """What `submission.json` holds."""

    name: str
    python: str
    mpi: str
    script: str  # SHA-256 of job.sbatch
    max_requeues: int
    user: str
    resources: dict[str, Any]
    sent: list[Sent]

    def job_of(self, task: int | None = None) -> str:
        """The newest job id of the run (of one task of a sweep): "12", or "12_3"; empty before Slurm has taken it."""
        for sent in reversed(self.sent):
            if not sent.job_id:
                continue
            if task is None:
                return sent.job_id
            if task - sent.offset in indices(sent.array):
                return f"{sent.job_id}_{task - sent.offset}"
        return ""

    def open_intents(self) -> list[Sent]:
        """Calls of which nobody knows yet whether Slurm took the job."""
        return [sent for sent in self.sent if not sent.job_id and not sent.refused]


def read(path: Path) -> Submission | None:
    """The submission of a run folder; None when it was never submitted."""
    file = path / "submission.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Submission)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise RunFolderError(f"{file}: damaged: {error}; restore or remove it") from None


def write(path: Path, submission: Submission) -> None:
    """Publish the submission of a run folder."""
    publish_bytes(path / "submission.json", msgspec.json.format(msgspec.json.encode(submission), indent=2) + b"\n")


def indices(array: str) -> set[int]:
    """The numbers in an array specification of ours: `0-3,7` (a `%limit` is left out)."""
    found: set[int] = set()
    for part in array.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found |= set(range(int(first), int(last or first) + 1))
    return found


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as an array specification: [0, 1, 2, 5] is `0-2,5`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)
