"""The image files of a folder or of a tar archive, found without unpacking anything to disk by name.

The names are sorted, so that the order of rows depends on no file system.
"""

import contextlib
import io
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO, BinaryIO, Literal

from hpcjobs.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
TAR_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError)
BYTES_AT_A_TIME = 2**20
DEEPEST = 3  # folders below a folder: one more than there may be, so that it shows
# Images too, which must not be passed over as if they were notes.
NOT_READ = (".avif", ".bmp", ".dcm", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".pbm", ".pgm", ".ppm", ".svg", ".webp")


@dataclass(frozen=True)
class Member:
    """One image file; `place` is its path below a folder, or its name in the archive."""

    name: str
    place: str
    size: int
    offset: int = 0  # of its first byte in a plain archive


@dataclass(frozen=True)
class Album:
    """Where images lie. `path` is a folder, an archive, or the only image itself."""

    path: Path
    members: tuple[Member, ...]
    form: str  # folder | archive | compressed
    passed_over: int  # files that are no images
    secret: bool = False  # names must not be told: they are to be pseudonyms

    def called(self, member: Member) -> str:
        """How to speak of a member."""
        return f"{self.path}: " + (
            "an image (its name stays secret; leave --pseudonymise out to see it)" if self.secret else member.name
        )


def is_album(path: Path) -> bool:
    """Whether a path is a folder, an archive or an image by its name."""
    return path.is_dir() or path.name.lower().endswith((*ARCHIVES, *SUFFIXES))


def find_images(path: Path, inner: str | None, secret: bool) -> Album:
    """Look through a folder, an archive (`ARCHIVE.tar:/folder` for a part of it), or one image file."""
    found: Iterable[Member]
    if path.is_dir():
        form, found = "folder", in_folder(path)
    elif path.name.lower().endswith(SUFFIXES):
        return Album(path.parent, (Member(path.name, path.name, path.stat().st_size),), "folder", 0, secret)
    else:
        form, found = _in_archive(path, secret)
    wanted = [part for part in (inner or "").split("/") if part]
    images: list[Member] = []
    passed_over = 0
    for member in found:
        parts = PurePosixPath(member.place).parts
        if parts[: len(wanted)] != tuple(wanted) or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if member.place.lower().endswith(SUFFIXES):
            images.append(Member("/".join(parts[len(wanted) :]), member.place, member.size, member.offset))
        elif member.place.lower().endswith(NOT_READ):
            name = Album(path, (), form, 0, secret).called(member)
            raise DataError(f"{name}: a kind of image that is not read; known: {', '.join(SUFFIXES)}; convert it")
        else:
            passed_over += 1
    where = f"{path}:/{'/'.join(wanted)}" if wanted else str(path)
    if not images:
        raise DataError(f"{where}: holds no images ({', '.join(SUFFIXES)}), and {passed_over} other files")
    if form != "folder" and not wanted:
        images = _without_common_folder(images)
    _refuse_depth(where, form, images)
    return Album(path, tuple(sorted(images, key=lambda member: member.name)), form, passed_over, secret)


@contextlib.contextmanager
def opened(album: Album, members: Sequence[Member]) -> Iterator[Callable[[Member], BinaryIO]]:
    """A function that opens any of `members`; those of a compressed archive wait in a file without a name."""
    if album.form == "folder":

        def open_file(member: Member) -> BinaryIO:
            try:
                return (album.path / member.place).open("rb")
            except OSError as error:
                raise DataError(f"{album.called(member)}: cannot be read: {error.strerror}") from None

        yield open_file
        return
    with contextlib.ExitStack() as stack:
        file: IO[bytes]
        if album.form == "archive":
            file, offsets = stack.enter_context(album.path.open("rb")), {member: member.offset for member in members}
        else:
            file = stack.enter_context(tempfile.TemporaryFile())
            offsets = _unpack(album, members, file)

        def open_part(member: Member) -> BinaryIO:
            file.seek(offsets[member])
            content = file.read(member.size)
            if len(content) < member.size:
                raise DataError(f"{album.called(member)}: cut off by the end of the archive; make it again")
            return io.BytesIO(content)

        yield open_part


def in_folder(path: Path) -> Iterator[Member]:
    """Every file of a folder that is not hidden, three folders deep; links count as what they lead to."""
    for folder, inside, names in os.walk(path, followlinks=True):
        depth = len(Path(folder).relative_to(path).parts)
        inside[:] = [name for name in inside if depth < DEEPEST and not name.startswith(".")]
        for file in (Path(folder, name) for name in names if not name.startswith(".")):
            place = file.relative_to(path).as_posix()
            yield Member(place, place, file.stat().st_size if file.exists() else 0)


def _in_archive(path: Path, secret: bool) -> tuple[str, list[Member]]:
    """The files of an archive that ends as an archive should and holds neither links nor devices."""
    mode: Literal["r:", "r:*"]
    form, mode = ("archive", "r:") if path.name.lower().endswith(".tar") else ("compressed", "r:*")
    found = []
    try:
        with tarfile.open(path, mode) as archive:
            for entry in archive:
                member = Member(entry.name, entry.name.removeprefix("./"), entry.size, entry.offset_data)
                if entry.isdir():
                    continue
                parts = PurePosixPath(entry.name).parts
                if not entry.isreg() or entry.issparse() or entry.name.startswith("/") or ".." in parts:
                    kind = "a link, device or sparse file" if not entry.isreg() or entry.issparse() else "outside of it"
                    raise DataError(f"{Album(path, (), form, 0, secret).called(member)}: {kind}, which is not followed")
                found.append(member)
            archive.fileobj.seek(archive.offset)
            whole = archive.fileobj.read(512) == bytes(512)
    except TAR_ERRORS as error:
        raise DataError(f"{path}: not a readable tar archive ({error}); make it again") from None
    if not whole:
        raise DataError(f"{path}: ends without the mark of its end: truncated or damaged; make it again")
    return form, found


def _unpack(album: Album, members: Sequence[Member], file: IO[bytes]) -> dict[Member, int]:
    """Copy the members one after another into `file`; return where each begins."""
    wanted = {member.place: member for member in members}
    offsets: dict[Member, int] = {}
    try:
        with tarfile.open(album.path, "r|*") as archive:
            for entry in archive:
                member = wanted.get(entry.name.removeprefix("./"))
                content = archive.extractfile(entry) if member else None
                if member and content:
                    offsets[member] = file.tell()
                    copyfileobj(content, file, BYTES_AT_A_TIME)
                if len(offsets) == len(wanted):
                    break
    except TAR_ERRORS as error:
        raise DataError(f"{album.path}: not a readable tar archive ({error}); make it again") from None
    return offsets


def _without_common_folder(images: list[Member]) -> list[Member]:
    """Names without the folder that all images of an archive lie in, which says nothing of any."""
    parts = [member.name.split("/") for member in images]
    common = 0
    while all(len(part) > common + 1 and part[common] == parts[0][common] for part in parts):
        common += 1
    return [
        Member("/".join(part[common:]), member.place, member.size, member.offset)
        for part, member in zip(parts, images, strict=True)
    ]


def _refuse_depth(where: str, form: str, images: list[Member]) -> None:
    """Images lie all in one folder, or all in folders that are their classes."""
    depths = {member.name.count("/") for member in images}
    if depths in ({0}, {1}):
        return
    firsts = sorted({member.name.split("/")[0] for member in images if "/" in member.name})
    if max(depths) > 1:
        base = where if form == "folder" or ":/" in where else f"{where}:"
        raise DataError(
            f"{where}: images lie in folders of folders, where the folders of SOURCE are the classes; "
            f"name the one that holds the class folders, such as {base}/{firsts[0]}"
        )
    raise DataError(
        f"{where}: images lie both in it and in its folders {', '.join(firsts[:5])}; "
        "put all into class folders, or all into one"
    )
