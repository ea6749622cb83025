"""Images that lie in no file of ours yet, in a folder or an archive: rows for as long as a model looks at them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hpcjobs.data.decoding import require_imaging
from hpcjobs.data.imagefiles import find_images, is_album
from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.data.kinds import recognise
from hpcjobs.data.publish import scratch_folder
from hpcjobs.data.source import split_name
from hpcjobs.data.table import CHANNELS, DTYPES, Progress
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.nn.network import told
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.runs.progress import say


@dataclass(frozen=True)
class Album:
    """A folder, an archive or an image, as a user names it, and how its images become rows for a model."""

    data: str
    options: ImportOptions

    @property
    def name(self) -> str:
        return split_name(self.data)[0].resolve().name or "images"

    def images(self) -> int:
        """How many image files there are."""
        return len(find_images(*split_name(self.data), secret=False).members)

    def in_classes(self) -> bool:
        """Whether the images lie in folders that are their classes."""
        return "/" in find_images(*split_name(self.data), secret=False).members[0].name


def album_for(data: str, shape: tuple[int, ...], dtype: str, bad_rows: str, model: Path) -> Album | None:
    """How images in a folder or archive become rows of `shape` and `dtype` ("": their own); None for an HDF5 file."""
    if not is_album(split_name(data)[0]):
        if bad_rows != "refuse":
            raise SettingsError(f"--bad-rows {bad_rows}: only images in a folder or an archive have it, not {data}")
        return None
    recognise(data)  # says what is wrong with one that cannot be read
    if len(shape) != 3 or shape[:2] == (1, 1):
        raise SettingsError(
            f"{data}: holds images, and {model} was made from rows of {prod(shape)} numbers, which have no height and "
            f"width; make rows of the images as those were made: hpcjobs data import {data} OUT.h5"
        )
    require_imaging()
    height, width, channels = shape
    colours = next((word for word, count in CHANNELS.items() if count == channels), None)
    kept = dtype if dtype in DTYPES else None
    return Album(data, ImportOptions(size=f"{height}x{width}", channels=colours, dtype=kept, bad_rows=bad_rows))


@contextlib.contextmanager
def opened(album: Album, beside: Path, comm: Communicator, progress: Progress) -> Iterator[str]:
    """Import the images to a file in a folder of its own beside `beside`, which goes with all in it. Collective."""
    with scratch_folder(beside, comm) as folder:
        file = folder / album.name
        made = import_table(album.data, file, album.options, progress, comm)
        skipped = f", {made.skipped} damaged ones left out" if made.skipped else ""
        say(f"{album.data}: {made.rows} images as {told(made.row_shape)} of {made.dtype}{skipped}", comm.rank == 0)
        try:
            yield str(file)
        except DataError as error:  # the user knows the images by their own place
            raise DataError(str(error).replace(str(file), album.data)) from None
