"""The sides of the benchmark `cnn`, each a process of its own that prints its median seconds a step as JSON."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS, SHAPE, FILTERS = 32, (150, 150, 3), (32, 64, 128, 128)
Step = Callable[[], object]


def main() -> None:
    side, processes, threads, pieces, steps, folder = sys.argv[1], *(int(word) for word in sys.argv[2:6]), sys.argv[6]
    rank = int(os.environ.get("PMI_RANK", "0"))
    told: dict[str, list[float]] = {}
    step: Step
    if side == "ours":
        step = ours(pieces, told)
    elif side == "torch":
        step = by_torch(rank, processes, threads, folder)
    else:
        step = by_keras(threads)
    walls, busy = [], []
    for number in range(steps + 2):
        wall, core = time.perf_counter(), time.process_time()
        step()
        if number > 1:
            walls.append(time.perf_counter() - wall)
            busy.append(time.process_time() - core)
    found = {"wall": statistics.median(walls), "busy": processes * statistics.median(busy)}
    found |= {name: statistics.median(values) for name, values in told.items()}
    if side == "ours":
        found["sgemm"] = sgemm_speed()
    if rank == 0:
        print(json.dumps(found))


def images() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Images and labels of one batch."""
    draw = np.random.default_rng(0)
    return draw.random((ROWS, *SHAPE), dtype=np.float32), draw.integers(0, 2, ROWS).astype(np.float32)


def ours(pieces: int, told: dict[str, list[float]]) -> Step:
    """Ours, on as many ranks as there are; also tells the seconds of each step that sums over ranks take from it."""
    from hpcjobs.nn.network import build, first_parameters, first_statistics
    from hpcjobs.nn.optimiser import Optimiser, first_moments
    from hpcjobs.nn.passes import Batch
    from hpcjobs.nn.presets import preset
    from hpcjobs.nn.training import Goal, Learner, train_step
    from hpcjobs.parallel.shards import Shards
    from hpcjobs.parallel.starter import world

    waited = 0.0

    @contextmanager
    def timed() -> Iterator[None]:
        nonlocal waited
        begin = time.perf_counter()
        yield
        waited += time.perf_counter() - begin

    comm = world()
    network, optimiser = build(preset("reference", 1), SHAPE), Optimiser()
    parameters = first_parameters(network, 1, "he", np.dtype(np.float32))
    learner = Learner(parameters, first_statistics(network), first_moments(optimiser, parameters))
    x, y = images()
    shards = Shards(ROWS, pieces)
    parts = [
        (x[span.start : span.stop], y[span.start : span.stop].astype(np.float64), np.arange(span.start, span.stop))
        for span in map(shards.shard, shards.owned(comm.rank, comm.size))
    ]
    batch = Batch(True, ROWS, pieces, [rows for _, _, rows in parts], communicator=comm, timed=timed)

    def step() -> None:
        nonlocal waited
        waited = 0.0
        train_step(network, learner, optimiser, Goal("binary"), parts, batch, 1e-3)
        told.setdefault("exchange", []).append(waited)

    return step


def by_torch(rank: int, processes: int, threads: int, folder: str) -> Step:
    """PyTorch with channels last; several processes share the batch by DistributedDataParallel over gloo."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    layers: list[Any] = []
    for before, filters in zip((SHAPE[2], *FILTERS), FILTERS, strict=False):
        layers += [nn.Conv2d(before, filters, 3), nn.ReLU(), nn.MaxPool2d(2)]
    model: Any = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(512), nn.ReLU(), nn.Linear(512, 1))
    x, y = (torch.from_numpy(array[rank::processes]) for array in images())
    x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    model(x)  # gives the lazy layer its shape
    model = model.to(memory_format=torch.channels_last)
    if processes > 1:
        torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=processes)
        model = nn.parallel.DistributedDataParallel(model)
    optimiser, loss = torch.optim.Adam(model.parameters(), fused=True), nn.BCEWithLogitsLoss()

    def step() -> None:
        optimiser.zero_grad()
        loss(model(x)[:, 0], y).backward()
        optimiser.step()

    return step


def by_keras(threads: int) -> Step:
    """Keras on TensorFlow, `train_on_batch`."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    layers = keras.layers
    blocks = [
        layer for filters in FILTERS for layer in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D())
    ]
    head = [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([layers.Input(SHAPE), *blocks, *head])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    x, y = images()
    return lambda: model.train_on_batch(x, y)


def sgemm_speed() -> float:
    """Multiplications and additions a second on a core, in a product of large float32 matrices."""
    a = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    out, seconds = np.empty_like(a), []
    for _ in range(5):
        begin = time.process_time()
        np.matmul(a, a, out=out)
        seconds.append(time.process_time() - begin)
    return float(2 * len(a) ** 3 / statistics.median(seconds))


if __name__ == "__main__":
    main()
