"""Runs on ranks that are threads of this process: the job, its context and its files, and no other process."""

import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import h5py
import msgspec
import numpy as np
from clustering.threads_comm import on_ranks
from numpy.typing import NDArray

from hpcjobs.jobs import kmeans
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.runs.context import Context, Stopped
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import Lease
from hpcjobs.runs.stopping import Stop
from hpcjobs.settings import build


class Unleased:
    """Of a folder that nobody else knows."""

    def check(self) -> None:
        pass


@dataclass
class StopAfter:
    """Asks for a stop after so many steps; never if negative."""

    steps: int
    asked: int = field(default=0)

    @property
    def requested(self) -> int:
        self.asked += 1
        return signal.SIGTERM if self.asked == self.steps else 0


@dataclass(frozen=True)
class Run:
    """What is left of a run: the result digest, the arrays of /result and of /history."""

    digest: str
    result: dict[str, NDArray[Any]]
    history: dict[str, NDArray[Any]]


def kmeans_on(folder: Path, ranks: int = 1, *, name: str = "run", stop_after: int = -1, **flags: object) -> Run | None:
    """Start or continue the k-means run `folder`/`name`; None when it was stopped. `memory="2KB"`: --memory 2KB."""
    return run_on(kmeans, folder, ranks, name=name, stop_after=stop_after, **flags)


def run_on(
    job: Any, folder: Path, ranks: int = 1, *, name: str = "run", stop_after: int = -1, **flags: object
) -> Run | None:
    """The same of a job of ours, given as its module."""
    made = RunFolder(folder / name)
    made.checkpoints.mkdir(parents=True, exist_ok=True)
    settings = build(job.Settings, None, flags)
    values, called = msgspec.json.decode(msgspec.json.encode(settings)), job.__name__.rpartition(".")[2]
    wish = {"name": name, "job": called, "settings": values, "run_uuid": str(folder)}
    made.settings.write_text(json.dumps({key: item for key, item in wish.items() if key != "name"}))
    attempts = [
        {"id": "1", "ranks": ranks, "nodes": 1, "started": "", "first_step": 0, "last_step": 0, "reason": "",
         "ended": "", "job_id": "", "restarts": 0, "cluster": ""}
    ]  # fmt: skip

    def one(communicator: Communicator) -> bool:
        census = [
            {"rank": rank, "host": "h", "pid": 1, "cores": (0,), "blas": "", "blas_threads": 1, "processor": ""}
            for rank in range(communicator.size)
        ]
        stop = cast(Stop, StopAfter(stop_after if communicator.rank == 0 else -1))
        lease = cast(Lease, Unleased())
        context = Context(wish, job.Settings, made, communicator, lease, stop, census, attempts)
        try:
            job.run(settings, context)
        except Stopped:
            return False
        return True

    if not all(on_ranks(ranks, one)):
        return None
    with h5py.File(made.result) as file:
        digest = file.attrs["result_digest"].decode()
        result = {key: item[()] for key, item in file["result"].items() if isinstance(item, h5py.Dataset)}
        return Run(digest, result, {key: item[()] for key, item in file["history"].items()})


def finished(folder: Path, ranks: int = 1, *, name: str = "run", **flags: object) -> Run:
    """A run to its end."""
    found = kmeans_on(folder, ranks, name=name, **flags)
    assert found is not None
    return found


def write(path: Path, **arrays: NDArray[Any]) -> str:
    """A file of another program; returns its path."""
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return str(path)


def rows_with_traps(rows: int = 257, features: int = 4) -> NDArray[np.float64]:
    """Blobs of different widths, a constant feature, doubled rows and a far one."""
    draw = np.random.default_rng(5)
    made = draw.normal(size=(rows, features)) * [1.0, 30.0, 1.0, 0.01][:features]
    made += draw.integers(0, 3, size=(rows, 1)) * [5.0, 90.0, 0.0, 0.1][:features]
    made[:, 2] = 7.0
    made[rows // 3 : rows // 3 + 6] = made[0]
    made[rows // 5] *= 20
    return made
