"""Images as a network takes them, and the order in which it sees them: a function of seed and epoch, not of ranks."""

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.source import Reader
from hpcjobs.jobs._cnn_check import Images, flat
from hpcjobs.nn.training import Shard
from hpcjobs.parallel.randomness import words

Pixels = NDArray[np.float32]


class Pictures:
    """Rows of images by their numbers, as float32; held in memory where they fit in `room` bytes."""

    def __init__(self, images: Images, room: int = 0) -> None:
        self._images = images
        self._reader = Reader(flat(images.source))
        self._held: NDArray[np.generic] | None = None
        source = self._reader.source
        if source.rows * source.row_bytes <= room:
            self._held = np.empty(source.shape, dtype=source.dtype)
            self._reader.read(0, self._held)

    def take(self, rows: NDArray[np.int64]) -> Pixels:
        """The images (rows, h, w, c) of some rows."""
        source = self._reader.source
        if self._held is not None:
            raw = self._held[rows]
        else:
            raw = np.empty((len(rows), source.shape[1]), dtype=source.dtype)
            for place in np.argsort(rows, kind="stable"):
                self._reader.read(int(rows[place]), raw[place : place + 1])
        return pixels(raw, self._images.shape, self._images.rescale)

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()


class Loader:
    """The batches of an epoch, each in equal shards. The images that do not fill a batch come in another epoch."""

    def __init__(self, pictures: Pictures, images: Images, batch: int, shards: int, seed: int, steps: int = 0) -> None:
        self._pictures, self._values = pictures, images.values
        self._batch, self._rows, self._seed = batch, batch // shards, seed
        self._passes = images.source.rows // batch  # batches before the images are shuffled again
        self.steps_per_epoch = steps or self._passes
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    def shard(self, epoch: int, step: int, shard: int) -> Shard:
        """Images, values and global numbers of the rows of one shard of one step of an epoch."""
        turn, place = divmod(epoch * self.steps_per_epoch + step, self._passes)
        start = place * self._batch + shard * self._rows
        rows = self._shuffled(turn)[start : start + self._rows]
        return self._pictures.take(rows), self._values[rows], rows

    def _shuffled(self, turn: int) -> NDArray[np.int64]:
        if self._order[0] != turn:
            drawn = words(self._seed, "order of images", 0, len(self._values), turn)
            self._order = (turn, np.argsort(drawn, kind="stable").astype(np.int64))
        return self._order[1]


def pixels(rows: NDArray[np.generic], shape: tuple[int, int, int], rescale: float) -> Pixels:
    """Flat rows as images (rows, h, w, c), rescaled."""
    return (rows.astype(np.float32) * np.float32(rescale)).reshape(len(rows), *shape)
