"""Images as rows (height, width, channels), with their class folders as the target and their names as ids."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.decoding import Looks, decode, look, require_imaging
from hpcjobs.data.imagefiles import Album, Member, find_images, opened
from hpcjobs.data.pixels import fitted, with_channels
from hpcjobs.data.schema import texts
from hpcjobs.data.table import CHANNELS, ImportOptions, Table, Target, check_unique, representable
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import Communicator, on_all, on_root
from hpcjobs.parallel.shards import Span, piece


@dataclass(frozen=True)
class Frame:
    """One row: a page of an image file."""

    member: Member
    page: int
    looks: Looks
    pages: int

    @property
    def name(self) -> str:
        """The id: the name of the file, and of one with many pages `#` and the number of the page."""
        digits = len(str(self.pages - 1))
        return self.member.name + (f"#{self.page:0{digits}d}" if self.pages > 1 else "")


@dataclass(frozen=True)
class Shape:
    """What all rows are brought to."""

    size: tuple[int, int] | None
    channels: int
    dtype: np.dtype[Any]

    def formed(self, pixels: NDArray[Any], where: str) -> NDArray[Any]:
        """Pixels of one row (height, width, channels)."""
        found = with_channels(pixels, self.channels)
        if self.size:
            found = fitted(found, *self.size)
        if found.dtype != self.dtype and not (fits := representable(found, self.dtype)).all():
            raise DataError(f"{where}: holds {found[~fits][0]}, which {self.dtype} cannot hold; choose another --dtype")
        return found.astype(self.dtype)


def open_images(path: Path, inner: str | None, options: ImportOptions, communicator: Communicator) -> Table:
    """The images of a folder, an archive or a file, after a look at the header of each. Collective."""
    on_all(communicator, require_imaging)
    album = on_root(communicator, lambda: find_images(path, inner, options.pseudonymise is not None))
    skip = options.bad_rows == "skip"
    span = piece(len(album.members), communicator.size, communicator.rank)
    looked = on_all(communicator, lambda: _look_at(album, album.members[span.start : span.stop], skip))
    frames = [frame for found, _ in communicator.allgather_object(looked) for frame in found]
    skipped = len(album.members) - len({frame.member for frame in frames})
    if not frames:
        raise DataError(f"{path}: none of its {skipped} images is readable")
    shape = _agreed(album, frames, options)
    height, width = shape.size or (frames[0].looks.height, frames[0].looks.width)
    names = texts(frame.name for frame in frames)
    check_unique(names, lambda first, second: f"{album.called(frames[first].member)}: twice in it", album.secret)
    return Table(
        len(frames),
        (height, width, shape.channels),
        shape.dtype,
        partial(_rows, album, frames, shape),
        identities=names,
        identity_kind="text",
        target=_classes(frames),
        skipped=skipped,
        passed_over=album.passed_over,
    )


def _look_at(album: Album, members: Sequence[Member], skip: bool) -> tuple[list[Frame], int]:
    """The frames of some members and how many could not be read; with `skip` all are decoded to see that."""
    found: list[Frame] = []
    bad = 0
    with opened(album, members) as read:
        for member in members:
            where = album.called(member)
            try:
                with read(member) as file:
                    pages = look(file, where)
                    for page in range(len(pages) if skip else 0):
                        decode(file, page, where)
            except DataError:
                if not skip:
                    raise
                bad += 1
                continue
            found += [Frame(member, page, looks, len(pages)) for page, looks in enumerate(pages)]
    return found, bad


def _rows(album: Album, frames: Sequence[Frame], shape: Shape, span: Span) -> Iterator[NDArray[Any]]:
    """The rows of a span, one at a time: (1, height, width, channels)."""
    own = frames[span.start : span.stop]
    with opened(album, [frame.member for frame in own]) as read:
        for member, pages in groupby(own, key=lambda frame: frame.member):
            where = album.called(member)
            with read(member) as file:
                for frame in pages:
                    yield shape.formed(decode(file, frame.page, where), where)[np.newaxis]


def _agreed(album: Album, frames: Sequence[Frame], options: ImportOptions) -> Shape:
    """The shape and type that all images have, or are brought to."""

    def refuse_two(what: str, of: Callable[[Looks], object], advice: str) -> None:
        count = Counter(of(frame.looks) for frame in frames)
        if len(count) > 1:
            first, second = (
                next(frame for frame in frames if of(frame.looks) == value) for value, _ in count.most_common(2)
            )
            raise DataError(
                f"{album.called(first.member)}: is {of(first.looks)}, "
                f"{album.called(second.member).removeprefix(f'{album.path}: ')} is {of(second.looks)}: {what}; {advice}"
            )

    if options.size is None:
        refuse_two(
            "images of different height x width",
            lambda looks: f"{looks.height}x{looks.width}",
            "bring all to one size, e.g. with --size 64x64",
        )
    if options.channels is None:
        words = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}
        refuse_two(
            "images of different channels",
            lambda looks: words.get(looks.channels, f"of {looks.channels} channels"),
            "bring all to the same with --channels grey, rgb or rgba",
        )
    if options.dtype is None:
        refuse_two("images of different type", lambda looks: looks.dtype, "bring all to one with --dtype")
    looks = frames[0].looks
    if options.channels and max(frame.looks.channels for frame in frames) > 4:
        raise SettingsError(f"--channels {options.channels}: {album.path} has images of more than 4 channels")
    if options.size and any(frame.looks.dtype == "float64" for frame in frames):
        raise SettingsError(f"--size {options.size}: {album.path} holds float64, which is not scaled; leave --size out")
    channels = CHANNELS[options.channels] if options.channels else looks.channels
    return Shape(options.height_width(), channels, np.dtype(options.dtype or looks.dtype))


def _classes(frames: Sequence[Frame]) -> Target | None:
    """The class folders as numbers in the order of their names; None when there are none."""
    if "/" not in frames[0].member.name:
        return None
    folders = [frame.member.name.split("/")[0] for frame in frames]
    names = tuple(sorted(set(folders)))
    number = {name: index for index, name in enumerate(names)}
    values = np.array([number[folder] for folder in folders], dtype=np.int32)
    return Target("class", values.dtype, lambda span: (values[span.start : span.stop],), names)
