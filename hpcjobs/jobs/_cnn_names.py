"""What the classes of images are called."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.source import Reader, locate_at
from hpcjobs.errors import DataError
from hpcjobs.jobs._cnn_check import Images

Names = tuple[str, ...]


def class_names(images: Images, classes: int) -> Names:
    """The names beside the labels, as an import writes them; none where there are not as many as classes."""
    try:
        source = locate_at(images.labels.file, images.labels.name.rsplit("/", 1)[0] + "/class_name", range(1, 2), "S")
    except DataError:
        return ()
    raw = np.empty(source.rows, dtype=source.dtype)
    with Reader(source) as reader:
        reader.read(0, raw)
    return names_of(raw)[:classes] if len(raw) >= classes else ()


def names_of(raw: NDArray[np.bytes_] | None) -> Names:
    """Names as text; none where there are none."""
    return () if raw is None else tuple(name.decode(errors="replace").strip() for name in raw.tolist())


def agreed(known: Names, found: Names, where: str) -> Names:
    """The names that a model and its new data share; DataError where a number means another class in each."""
    if known and found and known != found:
        number, (ours, theirs) = next(
            (number, pair) for number, pair in enumerate(zip(known, found, strict=True)) if pair[0] != pair[1]
        )
        raise DataError(
            f"{where}: calls class {number} {theirs!r}, the network was trained to call it {ours!r}; number the "
            "classes as the training data do, or name other --labels"
        )
    return known or found
