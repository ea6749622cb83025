"""A convolutional network, trained on images that lie over any number of ranks: the same bits on all of them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hpcjobs.data.batches import Loader
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._cnn_card import sections
from hpcjobs.jobs._cnn_check import Ground, check
from hpcjobs.jobs._cnn_evaluate import Evaluation, evaluate
from hpcjobs.jobs._cnn_export import EXPORTS
from hpcjobs.jobs._cnn_figures import figures
from hpcjobs.jobs._cnn_input import input_bytes, measured, open_batches, record
from hpcjobs.jobs._cnn_predict import FEATURES, MODEL, PREDICTS, dtype_of, features, predict, shape_of
from hpcjobs.jobs._cnn_result import as_trained, described, finish, judge
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._cnn_state import FLOAT, Memory, goal_of, optimiser_of, remember, schedule_of
from hpcjobs.jobs._cnn_transfer import as_input, said
from hpcjobs.kernels.compiling import compile_augment, compile_network
from hpcjobs.nn.gradients import gradient_rows
from hpcjobs.nn.passes import Batch
from hpcjobs.nn.schedule import rate
from hpcjobs.nn.training import Shard, Step, train_step
from hpcjobs.parallel.communicator import leader_first, on_all, on_root
from hpcjobs.parallel.equality import refuse_difference
from hpcjobs.parallel.shards import Shards
from hpcjobs.runs.context import Context

__all__ = [
    "EXPORTS",
    "FEATURES",
    "MODEL",
    "PREDICTS",
    "Evaluation",
    "Settings",
    "check",
    "describe",
    "dtype_of",
    "evaluate",
    "features",
    "figures",
    "need",
    "predict",
    "run",
    "sections",
    "shape_of",
]

describe = described
# Python with its libraries.
BASE_BYTES = 400 * 2**20
# Steps after which ranks make sure that they hold the same parameters.
COMPARE_EVERY = 100


def need(settings: Settings, ranks: int) -> int:
    """Memory of one rank in bytes: images, its share of a batch in all layers, gradients, optimiser, Python."""
    ground = check(settings)
    owned = -(-settings.shards // ranks)
    rows = owned * ground.order.shard_rows
    each = int(np.prod(ground.network.takes)) + sum(int(np.prod(node.gives)) for node in ground.network.every())
    numbers = 3 * rows * each + (gradient_rows(settings.shards, ranks) + 7) * ground.network.size
    return BASE_BYTES + 4 * numbers + input_bytes(settings, ground, owned)


def run(settings: Settings, context: Context) -> str:
    """Train the network and publish the result; returns its digest.

    A step goes through one global batch, in `--shards` pieces whose sums are taken in one fixed tree; a checkpoint
    holds the parameters and what the optimiser remembers, and the order of images follows from seed and epoch.
    """
    comm = context.communicator
    ground = on_root(comm, lambda: check(settings))
    leader_first(comm, partial(_compile, ground))
    step, state = context.resume(
        settings.checkpoint_every, settings.checkpoint_seconds, same_numerics=not settings.allow_other_numerics
    )
    owned = Shards(settings.batch_size, settings.shards).owned(comm.rank, comm.size)
    if comm.size > settings.shards:
        context.progress.say(f"{comm.size - settings.shards} ranks have no work: --shards is {settings.shards}")
    with context.timing.phase("read"):
        record(ground, context)
        if (given := ground.given) is not None:
            context.progress.say(said(given, ground.network, ground.frozen))
            context.use_input(*on_root(comm, lambda: as_input(given)))
        for line in ground.notes:
            context.progress.say(line)
        ground = measured(ground, context)
        batches = open_batches(settings, ground, context)
    with batches as loader:
        goal, optimiser = goal_of(settings, ground), optimiser_of(settings)
        schedule = schedule_of(settings, loader.steps_per_epoch)
        memory = remember(state, ground, settings, schedule)
        basis = Batch(
            True, settings.batch_size, settings.shards, seed=settings.seed, communicator=comm, frozen=ground.frozen,
            timed=partial(context.timing.phase, "exchange"),
        )  # fmt: skip
        with context.timing.phase("train"):
            while step < schedule.total and not _has_waited(memory, step, loader, settings):
                epoch, number = divmod(step, loader.steps_per_epoch)
                shards = on_all(comm, partial(_shards, loader, epoch, number, owned))
                speed = rate(schedule, step)
                done = train_step(
                    ground.network, memory.learner, optimiser, goal, shards, _numbered(basis, step, shards), speed
                )
                _refuse_divergence(done, step + 1, speed)
                step += 1
                if step % COMPARE_EVERY == 0 or step % loader.steps_per_epoch == 0:
                    learned = memory.learner
                    refuse_difference(
                        f"parameters after step {step}", [learned.parameters, *learned.moments.values()], comm
                    )
                _validate(memory, step, loader, ground, context)
                context.history.log(step, **_logged(done, speed, memory, ground))
                detail = f"epoch {epoch + 1}  loss {done.loss:.4g}  accuracy {done.accuracy:.3f}"
                context.progress.step(step, schedule.total, detail)
                context.step_done(step, memory.state(schedule))
    if comm.size > 1:
        share = context.timing.share("exchange", "train")
        context.progress.say(f"sums over ranks that nothing hid: {share:.1%} of training")
    context.save(step, memory.state(schedule))
    with context.timing.phase("finish"):
        content = finish(ground, memory, step, settings.keep_images, context)
    return context.publish_result(f"network of {ground.images.source.file.name} after {step} steps", content)


def _compile(ground: Ground) -> None:
    source = ground.images.source
    compile_augment(source.dtype, source.shape[-1])
    compile_network(FLOAT)


def _shards(loader: Loader, epoch: int, step: int, owned: range) -> list[Shard]:
    """The shards of this rank of one step."""
    return [loader.shard(epoch, step, shard) for shard in owned]


def _numbered(basis: Batch, step: int, shards: Sequence[Shard]) -> Batch:
    """The batch of one step, in the room of those before it."""
    samples = [rows for _, _, rows in shards]
    return replace(basis, samples=samples, step=step)


def _validate(memory: Memory, step: int, loader: Loader, ground: Ground, context: Context) -> None:
    """Look at the images to validate on after the last step of an epoch, and keep the best network. Collective."""
    if step % loader.steps_per_epoch or ground.validation is None:
        return
    with context.timing.phase("validate"):
        found = judge(as_trained(ground, memory.learner), ground.validation, context.communicator)
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


def _refuse_divergence(done: Step, step: int, speed: float) -> None:
    """Stop where numbers are no longer finite; the checkpoints before stay. On every rank."""
    if done.bad:
        remedy = "a lower --learning-rate, or --clip 1"
        if done.bad == "the images":
            remedy = "a smaller --rescale, or mend what --augmentation makes of them"
        raise SettingsError(
            f"training diverged at step {step}: the first numbers that are not finite are those of {done.bad}, at a "
            f"learning rate of {speed:g} (loss {done.loss:g}); take {remedy}; "
            "the checkpoints before this step are kept"
        )
