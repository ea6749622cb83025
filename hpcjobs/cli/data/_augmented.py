"""Images as an augmentation changes them, for a preview."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.preview import Versions
from hpcjobs.errors import SettingsError
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.settings import read_toml, table

DRAWS = 5  # with the image itself a line of the sheet


def augmented(what: str, seed: int) -> Versions:
    """Images as they are and as the first passes would change them, in the brightness that they have."""
    value: Any = what
    if what.endswith(".toml"):
        value = read_toml(Path(what)).get("augmentation")
        if value is None:
            raise SettingsError(f"{what}: has no table [augmentation] that says how images are changed")
    told = table(Augmentation, value, Path.cwd(), "--augment")
    shown = msgspec.structs.replace(told, standardise="none")

    def versions(images: NDArray[Any], rows: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        shape = (images.shape[1], images.shape[2], images.shape[3])
        labels, changed = np.zeros(len(rows)), Preparation(shown, shape, seed=seed)
        found = {"": changed.plain(images)}
        found |= {f"pass {number}": changed(images, labels, rows, number)[0] for number in range(DRAWS)}
        if images.dtype != np.uint8:
            return found
        return {name: np.rint(version).astype(np.uint8) for name, version in found.items()}

    return versions
