"""A convolutional network, trained on images that lie over any number of ranks: the same bits on all of them."""

import contextlib
from collections.abc import Sequence
from functools import partial

import numpy as np

from hpcjobs.data.slab import digest_rows
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs._cnn_check import Ground, check
from hpcjobs.jobs._cnn_evaluate import Evaluation, evaluate
from hpcjobs.jobs._cnn_figures import figures
from hpcjobs.jobs._cnn_input import Loader, Pictures
from hpcjobs.jobs._cnn_predict import MODEL, PREDICTS, predict, shape_of
from hpcjobs.jobs._cnn_result import as_trained, described, finish, judge
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._cnn_state import FLOAT, Memory, goal_of, optimiser_of, remember, schedule_of
from hpcjobs.kernels.compiling import compile_network
from hpcjobs.nn.passes import Batch
from hpcjobs.nn.schedule import rate
from hpcjobs.nn.training import Shard, Step, train_step
from hpcjobs.parallel.communicator import leader_first, on_all, on_root
from hpcjobs.parallel.memory import free_memory
from hpcjobs.parallel.shards import Shards
from hpcjobs.runs.context import Context

__all__ = [
    "MODEL",
    "PREDICTS",
    "Evaluation",
    "Settings",
    "check",
    "describe",
    "evaluate",
    "figures",
    "need",
    "predict",
    "run",
    "shape_of",
]

describe = described
# Python with its libraries.
BASE_BYTES = 400 * 2**20


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: its share of a batch in all layers, gradients of its shards, optimiser, Python."""
    ground = check(settings)
    rows = -(-settings.shards // ranks) * (settings.batch_size // settings.shards)
    each = sum(int(np.prod(node.gives)) for node in ground.network.every())
    return BASE_BYTES + 4 * (3 * rows * each + (-(-settings.shards // ranks) + 8) * ground.network.size)


def run(settings: Settings, context: Context) -> str:
    """Train the network and publish the result; returns its digest.

    A step goes through one global batch, in `--shards` pieces whose sums are taken in one fixed tree; a checkpoint
    holds the parameters and what the optimiser remembers, and the order of images follows from seed and epoch.
    """
    comm = context.communicator
    ground = on_root(comm, lambda: check(settings))
    leader_first(comm, lambda: compile_network(FLOAT))
    step, state = context.resume(
        settings.checkpoint_every, settings.checkpoint_seconds, same_numerics=not settings.allow_other_numerics
    )
    owned = Shards(settings.batch_size, settings.shards).owned(comm.rank, comm.size)
    if comm.size > settings.shards:
        context.progress.say(f"{comm.size - settings.shards} ranks have no work: --shards is {settings.shards}")
    with contextlib.ExitStack() as open_files:
        with context.timing.phase("read"):
            pictures = [open_files.enter_context(one) for one in _open(ground, context)]
        loader = Loader(
            pictures[0], ground.images, settings.batch_size, settings.shards, settings.seed, settings.steps_per_epoch
        )
        goal, optimiser = goal_of(settings, ground), optimiser_of(settings)
        schedule = schedule_of(settings, loader.steps_per_epoch)
        memory = remember(state, ground, settings, schedule)
        basis = Batch(True, settings.batch_size, settings.shards, seed=settings.seed, communicator=comm)
        with context.timing.phase("train"):
            while step < schedule.total and not _has_waited(memory, step, loader, settings):
                epoch, number = divmod(step, loader.steps_per_epoch)
                shards = on_all(comm, partial(_shards, loader, epoch, number, owned))
                speed = rate(schedule, step)
                done = train_step(
                    ground.network, memory.learner, optimiser, goal, shards, _numbered(basis, step, shards), speed
                )
                _refuse_divergence(done, step + 1, speed, ground, shards, context)
                step += 1
                _validate(memory, step, loader, ground, pictures, context)
                context.history.log(step, **_logged(done, speed, memory, ground))
                detail = f"epoch {epoch + 1}  loss {done.loss:.4g}  accuracy {done.accuracy:.3f}"
                context.progress.step(step, schedule.total, detail)
                context.step_done(step, memory.state(schedule))
        context.save(step, memory.state(schedule))
        with context.timing.phase("finish"):
            content = finish(settings, ground, memory, step, pictures, context)
        return context.publish_result(f"network of {ground.images.source.file.name} after {step} steps", content)


def _open(ground: Ground, context: Context) -> list[Pictures]:
    """The images to train on and those to validate on, recorded as what the run has read."""
    several = [ground.images] if ground.validation is None else [ground.images, ground.validation]
    room = free_memory(context.communicator) // (2 * len(several))
    found = []
    for images in several:
        for source in (images.source, images.labels):
            context.use_input(source, digest_rows(source, context.communicator))
        found.append(on_all(context.communicator, partial(Pictures, images, room)))
    return found


def _shards(loader: Loader, epoch: int, step: int, owned: range) -> list[Shard]:
    """The shards of this rank of one step."""
    return [loader.shard(epoch, step, shard) for shard in owned]


def _numbered(basis: Batch, step: int, shards: Sequence[Shard]) -> Batch:
    """The batch of one step, in the room of those before it."""
    samples = [rows for _, _, rows in shards]
    return Batch(True, basis.rows, basis.pieces, samples, basis.seed, step, basis.communicator, basis.room)


def _validate(
    memory: Memory, step: int, loader: Loader, ground: Ground, pictures: Sequence[Pictures], context: Context
) -> None:
    """Look at the images to validate on after the last step of an epoch, and keep the best network. Collective."""
    if step % loader.steps_per_epoch or ground.validation is None:
        return
    with context.timing.phase("validate"):
        found = judge(as_trained(ground, memory.learner), ground.validation, pictures[1], context.communicator)
    memory.validated[:] = [found.loss, found.accuracy]
    memory.best.look(found.loss, step // loader.steps_per_epoch, memory.learner)


def _has_waited(memory: Memory, step: int, loader: Loader, settings: Settings) -> bool:
    """Whether to stop early: the last epochs have not been better than one before."""
    epoch, rest = divmod(step, loader.steps_per_epoch)
    return rest == 0 and 0 < settings.early_stopping <= epoch - memory.best.epoch


def _logged(done: Step, speed: float, memory: Memory, ground: Ground) -> dict[str, float]:
    """The row of the history; validation as it was last found, NaN before the first. Numbers have no accuracy."""
    row = {"loss": done.loss, "accuracy": done.accuracy, "learning_rate": speed}
    if ground.validation is not None:
        row |= {"validation_loss": memory.validated[0], "validation_accuracy": memory.validated[1]}
    return row if ground.kind != "mse" else {name: value for name, value in row.items() if "accuracy" not in name}


def _refuse_divergence(
    done: Step, step: int, speed: float, ground: Ground, shards: Sequence[Shard], context: Context
) -> None:
    """Stop where numbers are no longer finite; the checkpoints before stay. Collective."""
    if not done.bad:
        return
    if done.bad == "the images":
        rows = [int(row) for x, _, some in shards for row in some[~np.isfinite(x).all(axis=(1, 2, 3))]]
        wrong = sorted(row for some in context.communicator.allgather_object(rows) for row in some)
        raise DataError(f"{ground.images.source}: row {wrong[0]} holds NaN or infinite values; mend or remove it")
    raise SettingsError(
        f"training diverged at step {step}: the first numbers that are not finite are those of {done.bad}, at a "
        f"learning rate of {speed:g} (loss {done.loss:g}); take a lower --learning-rate, or --clip 1; "
        "the checkpoints before this step are kept"
    )
