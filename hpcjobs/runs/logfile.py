"""What the attempts of a run have said: finding its logs, and following them while they grow."""

import os
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.runs import submission, sweeps

CHUNK = 2**20


def logs(run: Path) -> list[Path]:
    """The logs of a run, the one written to last at the end; those of a task of a sweep lie beside its folder."""
    found = [*run.glob("log-*.out"), *_of_task(run)]
    return sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_mtime_ns)


def _of_task(run: Path) -> Iterator[Path]:
    home = sweeps.home(run)
    record = submission.read(home) if home != run else None
    for sent in record.sent if record else ():
        index = sweeps.number(run) - sent.offset
        if sent.job_id and index in submission.indices(sent.array):
            yield home / f"log-{sent.job_id}_{index}.out"


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(start_of_tail(path, lines))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def start_of_tail(path: Path, lines: int) -> int:
    """Where the last lines of a log begin, looked for from its end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0 or lines == 0:
            return end
        end -= 1  # what ends the last line begins none
        while end > 0:
            start = max(0, end - CHUNK)
            file.seek(start)
            text = file.read(end - start)
            at = len(text)
            while lines and (at := text.rfind(b"\n", 0, at)) >= 0:
                lines -= 1
                if not lines:
                    return start + at + 1
            end = start
    return 0


class Followed:
    """A log that grows: what is new in it, also after it was cut off or replaced by another file of its name."""

    def __init__(self, path: Path, start: int = 0) -> None:
        """`start`: the position from which on its text is new."""
        self._path = path
        self._position = start
        self._descriptor = -1

    def news(self) -> Iterator[bytes]:
        """What was written since the last call, in pieces."""
        yield from self._rest()
        if self._replaced():
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._position = 0
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._descriptor = -1
            yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        if self._descriptor < 0:
            return
        if os.fstat(self._descriptor).st_size < self._position:
            self._position = 0
        while piece := os.pread(self._descriptor, CHUNK, self._position):
            self._position += len(piece)
            yield piece

    def _replaced(self) -> bool:
        """Whether the name leads to another file than the one that is open."""
        try:
            named = self._path.stat()
        except OSError:
            return False
        if self._descriptor < 0:
            return True
        opened = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)
