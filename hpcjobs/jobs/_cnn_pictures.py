"""The worst mistakes on the images to validate on, kept in the result as pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable
from hpcjobs.data.source import source_blocks
from hpcjobs.jobs._cnn_check import Images
from hpcjobs.nn.measures import worst
from hpcjobs.parallel.communicator import Communicator, on_root
from hpcjobs.parallel.shards import Span

MOST_BYTES = 2**24
AXES = ("worst", "image_row", "image_column", "image_channel")


def worst_pictures(
    images: Images, losses: NDArray[Any], wrong: NDArray[Any], most: int, comm: Communicator
) -> dict[str, Variable]:
    """Rows and pixels of the `most` worst mistakes; `losses` and `wrong` (local rows,) are of this rank. Collective.

    Rows of features are no pictures.
    """
    if images.source.shape[1:3] == (1, 1):
        return {}
    every = [np.concatenate(comm.allgather_object(each)) for each in (losses, wrong)]
    rows = worst(every[0], every[1], min(most, MOST_BYTES // images.source.row_bytes))
    if not len(rows):
        return {}

    def read() -> NDArray[Any]:
        blocks = (source_blocks(images.source, Span(row, row + 1)) for row in rows.tolist())
        return np.concatenate([one for some in blocks for one in some])

    return {
        "/result/worst_row": Variable(("worst",), rows, "rows of the validation images of the worst mistakes"),
        "/result/worst_image": Variable(AXES, on_root(comm, read), "pixels of these images"),
    }
