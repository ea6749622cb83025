"""How images are prepared for a network: as a run says, and where it says nothing, as for the one it begins with."""

from dataclasses import dataclass

import msgspec
import numpy as np

from hpcjobs.data.source import Source
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._cnn_transfer import SETTING, Given
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.network import Network, told
from hpcjobs.nn.transfer import learns


@dataclass(frozen=True)
class Prepared:
    """A preparation, what of it is `taken` over from a given network, what the run says `against` that, and what is
    `other` without a word of the run: images of another size or type."""

    preparation: Preparation
    taken: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    def lines(self, given: Given) -> tuple[str, ...]:
        """What a run tells of it."""
        odd = "; ".join((*self.against, *self.other))
        found = (f"images are prepared as for that network: {', '.join(self.taken)}",) if self.taken else ()
        return found + ((f"warning: images are prepared otherwise than for {given.file}: {odd}",) if odd else ())


def prepare(settings: Settings, source: Source, given: Given | None) -> Prepared:
    """How the images of a run come to its network; what depends on classes or on all data is not in it."""
    usual = 1 / 255 if source.dtype == np.uint8 else 1.0
    rescale = usual if settings.rescale is None else settings.rescale
    if given is None:
        return Prepared(Preparation(settings.augmentation, source.shape[1:], rescale, settings.seed))
    there, augmentation = given.facts.preparation(), settings.augmentation
    taken: list[str] = []
    against: list[str] = []
    other: list[str] = []
    other_type = given.facts.dtype not in ("", source.dtype.name)
    if other_type:
        other.append(f"they are {source.dtype} times {rescale:g}, there {given.facts.dtype} times {there.rescale:g}")
    elif settings.rescale is None and rescale != there.rescale:
        rescale = there.rescale
        taken.append(f"--rescale {rescale:g}")
    elif rescale != there.rescale:
        known = against if given.facts.dtype else other
        known.append(f"--rescale is {rescale:g}, there {there.rescale:g}")
    standardise = there.augmentation.standardise
    if augmentation.standardise == "none" != standardise:
        augmentation = msgspec.structs.replace(augmentation, standardise=standardise)
        taken.append(f"standardise={standardise}")
    elif augmentation.standardise != standardise:
        against.append(f"standardise is {augmentation.standardise}, there {standardise}")
    if augmentation.crop is None and there.augmentation.crop is not None and source.shape[1:] == there.shape:
        augmentation = msgspec.structs.replace(augmentation, crop=there.augmentation.crop)
        taken.append(f"crop={augmentation.crop}")
    channels = None
    if augmentation.standardise == "feature" and source.shape[3] == there.shape[2] and not other_type:
        channels = there.channels
        taken.append("mean and deviation of each channel")
    found = Preparation(augmentation, source.shape[1:], rescale, settings.seed, channels=channels)
    if found.prepared_shape != there.prepared_shape:
        asked = settings.image_shape is not None or settings.augmentation.crop is not None
        shapes = f"{told(found.prepared_shape)} come to the network, there {told(there.prepared_shape)}"
        (against if asked else other).append(shapes)
    return Prepared(found, tuple(taken), tuple(against), tuple(other))


def refuse_frozen(prepared: Prepared, given: Given, network: Network, frozen: frozenset[str]) -> None:
    """Refuse to prepare images otherwise for lowest layers that cannot learn it."""
    lowest = next(node for node in network.nodes if learns(node, frozenset()))
    if prepared.against and not learns(lowest, frozen):
        raise SettingsError(
            f"{SETTING} {given.file}: {'; '.join(prepared.against)}: layer {lowest.name} stays as it is and knows only "
            "images that are prepared as there; leave these settings out, or train it: --freeze without it"
        )
