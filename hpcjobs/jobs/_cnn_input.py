"""The images of a CNN run: recorded as what it reads, and handed to the network batch by batch."""

from dataclasses import replace

from hpcjobs.data.batches import Loader, hold
from hpcjobs.data.slab import digest_rows
from hpcjobs.jobs._cnn_check import Ground, Images
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.nn.channels import channels_of
from hpcjobs.parallel.communicator import on_all
from hpcjobs.runs.context import Context
from hpcjobs.settings import memory_limit


def record(ground: Ground, context: Context) -> None:
    """Tell what the run reads, and refuse to go on with other images. Collective."""
    several: list[Images] = [ground.images] if ground.validation is None else [ground.images, ground.validation]
    for images in several:
        for source in (images.source, images.labels):
            context.use_input(source, digest_rows(source, context.communicator))


def measured(ground: Ground, context: Context) -> Ground:
    """With what the preparation of images takes of all of them. Collective."""
    preparation = ground.preparation
    if preparation.augmentation.standardise != "feature" or preparation.channels is not None:
        return ground
    channels = channels_of(ground.images.source, context.communicator)
    return replace(ground, preparation=replace(preparation, channels=channels))


def open_batches(settings: Settings, ground: Ground, context: Context) -> Loader:
    """The batches to train on, held in memory where they fit there. Collective."""
    source = ground.images.source
    held = hold(source, context.communicator, memory_limit(settings.memory))
    if held is None:
        context.progress.say(f"{source} does not fit in memory, so it is read batch by batch")
    return on_all(
        context.communicator,
        lambda: Loader(
            source,
            ground.images.values,
            ground.order,
            prepare=ground.preparation,
            steps_per_epoch=settings.steps_per_epoch or None,
            held=held,
        ),
    )


def input_bytes(settings: Settings, ground: Ground, owned: int) -> int:
    """Memory that the images to train on take in one rank that owns so many shards: all of them, or pools."""
    source, order, limit = ground.images.source, ground.order, memory_limit(settings.memory)
    everything = source.rows * source.row_bytes
    pools = 2 * owned * min(order.pool_rows, len(order.run(0))) * source.row_bytes
    return everything if limit is not None and everything <= limit else min(everything, pools)
