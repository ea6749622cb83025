"""What kind of source a name means, which options it takes, and whether it has changed since."""

import hashlib
import os
import stat
from dataclasses import fields
from pathlib import Path

from hpcjobs.data import arrays, delimited, imagefiles, parquet
from hpcjobs.data.idx import is_idx
from hpcjobs.data.source import split_name
from hpcjobs.data.table import ImportOptions
from hpcjobs.errors import DataError, SettingsError

ARRAYS = (".npy", ".npz")
WORDS = {
    "text": "text sources (CSV, TSV)",
    "parquet": "Parquet",
    "array": "arrays (.npy, .npz)",
    "hdf5": "HDF5",
    "idx": "IDX",
    "images": "images",
}
# Options that only some kinds take, by the name of their flag.
TAKEN_BY = {
    "header": ("--header", ("text",)),
    "delimiter": ("--delimiter", ("text",)),
    "columns": ("--columns", ("text", "parquet", "array", "hdf5")),
    "drop": ("--drop", ("text", "parquet", "array", "hdf5")),
    "id_column": ("--id", ("text", "parquet")),
    "target_column": ("--target", ("text", "parquet")),
    "bad_rows": ("--bad-rows", ("text", "images")),
    "size": ("--size", ("images",)),
    "channels": ("--channels", ("images",)),
    "labels": ("--labels", ("idx",)),
    "follow_links": ("--follow-links", ("hdf5",)),
    "pseudonymise": ("--pseudonymise", ("text", "parquet", "hdf5", "images")),
}


def recognise(source: str) -> tuple[Path, str | None, str]:
    """The path that `source` names, what stands behind its `:`, and its kind: a word of `WORDS`."""
    path, name = split_name(source)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISDIR(mode):
            with path.open("rb"):
                pass
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (looked in {path.parent.absolute()})") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it; ask its owner, or run `chmod u+r`") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path}: not a plain file; it is read more than once, so save it to a file first")
    kind = _kind(path)
    if name is not None and not (kind == "hdf5" or path.suffix.lower() == ".npz" or _is_archive(path)):
        raise DataError(f"{path}: holds one table without a name; leave `:{name}` out")
    return path, name, kind


def refuse_foreign_options(options: ImportOptions, path: Path, kind: str) -> None:
    """Refuse an option that means nothing to this kind of source: it would be ignored."""
    for field in fields(options):
        flag, kinds = TAKEN_BY.get(field.name, ("", tuple(WORDS)))
        if kind not in kinds and getattr(options, field.name) != field.default:
            words = " and ".join(WORDS[each] for each in kinds)
            raise SettingsError(f"{flag}: only {words} have it; {path} is of the kind: {WORDS[kind]}")
    if options.labels and not Path(options.labels).is_file():
        raise DataError(f"--labels {options.labels}: no such file")
    if kind in ("hdf5", "images") and options.pseudonymise not in (None, "id"):
        raise SettingsError(f"--pseudonymise {options.pseudonymise}: what identifies the rows of {path} is called id")


def fingerprint(path: Path, *more: Path) -> str:
    """What differs once another program has written a file: names, sizes and times, of a folder those of all in it."""
    found = hashlib.sha256()
    for each in (path, *more):
        found.update(os.fsencode(each.absolute()) + b"\0")
        for file in _files(each):
            status = file.stat() if file.exists() else None
            state = (status.st_size, status.st_mtime_ns) if status else ()
            found.update(os.fsencode(file) + f"\0{state}\0".encode())
    return found.hexdigest()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [path / member.place for member in sorted(imagefiles.in_folder(path), key=lambda member: member.place)]


def _kind(path: Path) -> str:
    lower = path.name.lower()
    if imagefiles.is_album(path):
        return "images"
    if lower.removesuffix(".gz").endswith(delimited.SUFFIXES):
        return "text"
    if path.suffix.lower() in ARRAYS:
        return "array"
    if path.suffix.lower() in arrays.HDF5_SUFFIXES:
        return "hdf5"
    if path.suffix.lower() in parquet.SUFFIXES:
        return "parquet"
    if is_idx(path):
        return "idx"
    known = ", ".join((*delimited.SUFFIXES, *ARRAYS, *arrays.HDF5_SUFFIXES, *parquet.SUFFIXES))
    raise DataError(
        f"{path}: unknown kind of file {path.suffix!r}; known: {known}; .gz of the first three; IDX; folders and "
        f"archives ({', '.join(imagefiles.ARCHIVES)}) of images ({', '.join(imagefiles.SUFFIXES)})"
    )


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(imagefiles.ARCHIVES)
