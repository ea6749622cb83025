"""Data sets of the same samples side by side: rows with the same id become one row of all their columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.lookup import locate_samples
from hpcjobs.data.matching import Integers, Named, match, refuse_other_targets
from hpcjobs.data.samples import Column, picked, whole
from hpcjobs.data.schema import Contents, Rows, Variable, texts
from hpcjobs.data.slab import digest_rows
from hpcjobs.data.table import BLOCK_BYTES, Progress, refuse_existing, representable
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_root
from hpcjobs.parallel.shards import piece

NUMBERED = "row of the source, counted from 0"


@dataclass(frozen=True)
class JoinReport:
    """What a join made; `parts` are name, rows and columns of each data set that went in."""

    out: Path
    rows: int
    dtype: str
    parts: tuple[tuple[str, int, int], ...]
    left_out: tuple[str, ...]
    numbered: bool  # ids are row numbers

    def __str__(self) -> str:
        columns = ", ".join(f"{columns} of {name}" for name, _, columns in self.parts)
        every = sum(columns for _, _, columns in self.parts)
        lines = [f"{self.out}: {self.rows} rows x {every} columns of {self.dtype} ({columns})"]
        for name, rows, _ in self.parts:
            others = " and ".join(other for other, _, _ in self.parts if other != name)
            lines.append(f"{rows - self.rows} of {rows} rows of {name} have no partner in {others}")
        if self.left_out:
            lines.append(f"left out, as an earlier one has it: {', '.join(self.left_out)}")
        if self.numbered:
            lines.append("ids are row numbers: rows of the same number were joined")
        return "\n".join(lines)


def join(
    sources: Sequence[str],
    out: Path,
    *,
    communicator: Communicator | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> JoinReport:
    """Write the rows that all `sources` have, in the order of the first. Collective.

    `progress` hears (rows written, rows to write) of this rank.
    """
    comm = communicator or SerialCommunicator()
    several = on_root(comm, lambda: check(sources, out, force))
    found: list[Integers] = []

    def decide() -> int:
        rows = match(several)
        refuse_other_targets(several, rows)
        found.append(rows)
        return len(rows[0])

    total = on_root(comm, decide)
    rows = found[0] if found else np.empty((len(several), total), dtype=np.int64)
    comm.bcast(rows)
    share = piece(total, comm.size, comm.rank)
    own = rows[:, share.start : share.stop]
    given = [one.samples.columns["x"] for one in several]
    dtype = np.result_type(*(column.dtype for column in given))

    def features() -> Iterator[NDArray[Any]]:
        step = max(1, BLOCK_BYTES // sum(column.row_bytes for column in given))
        done = 0
        blocks = [picked(column, one, step) for column, one in zip(given, own, strict=True)]
        for held in zip(*blocks, strict=True):
            lines = [_lines(*part, dtype) for part in zip(several, held, strict=True)]
            made = np.concatenate(lines, axis=1)
            yield made
            done += len(made)
            progress(done, len(own[0]))

    widths = [prod(column.shape[1:]) for column in given]
    x = Rows(total, share.start, dtype, (sum(widths),), features)
    variables = {"/data/x": Variable(("id", "feature"), x, "features, data set by data set")}
    taken, left_out = _beside(several)
    for name, (number, column) in taken.items():
        blocks = partial(picked, column, own[number], column.rows_at_a_time)
        variables[f"/data/{name}"] = column.variable(total, share.start, blocks)
    variables["/data/feature_name"] = Variable(("feature",), on_root(comm, lambda: _names(several, widths)), "feature")
    if "y" in taken and isinstance(classes := several[taken["y"][0]].samples.others.get("/data/class_name"), Column):
        variables["/data/class_name"] = Variable(("class",), on_root(comm, lambda: whole(classes)), "name of the class")
    digests = [digest_rows(column.source, comm) for column in given if column.source is not None]
    write_file(out, _contents(several, variables, digests), comm)
    parts = tuple((one.name, one.samples.rows, width) for one, width in zip(several, widths, strict=True))
    numbered = all(one.samples.columns["id"].long_name == NUMBERED for one in several)
    return JoinReport(out, total, str(dtype), parts, left_out, numbered)


def check(sources: Sequence[str], out: Path, force: bool) -> list[Named]:
    """Find every mistake that can be found without reading the rows."""
    if len(sources) < 2:
        raise SettingsError(f"{', '.join(sources)}: name at least two data sets to join, and then the file to write")
    several = [Named(source, locate_samples(source)) for source in sources]
    for one in several:
        if out.exists() and out.samefile(one.samples.file):
            raise SettingsError(f"{out}: is one of the sources; name another file to write")
        x = one.samples.columns.get("x")
        if x is None or x.dtype.kind not in "fiu" or len(x.shape) < 2:
            raise DataError(f"{one}: holds no rows of numbers to join; name them: FILE.h5:/path")
        if [*sources].count(one.name) > 1:
            raise SettingsError(f"{one}: is named twice; a data set joined with itself says nothing new")
        if one.samples.columns["id"].source is None:
            raise DataError(
                f"{one}: its rows have no ids (a data set `id` beside them) to join by; import it, which gives ids: "
                "hpcjobs data import"
            )
    refuse_existing(out, force)
    return several


def _lines(one: Named, block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rows (some, ...) as lines (some, features) of another type, which must hold every value."""
    lines = block.reshape(len(block), -1)
    if lines.dtype != dtype and not (fits := representable(lines, dtype)).all():
        raise DataError(
            f"{one}: holds {lines[~fits][0]}, which {dtype}, the type of all columns together, cannot hold; import it "
            "with another --dtype"
        )
    return lines.astype(dtype, copy=False)


def _beside(several: Sequence[Named]) -> tuple[dict[str, tuple[int, Column]], tuple[str, ...]]:
    """What goes along with the rows, of which data set, by name: the first that has it; and what does not."""
    taken: dict[str, tuple[int, Column]] = {}
    left_out = []
    for number, one in enumerate(several):
        for name, column in one.samples.columns.items():
            if name in taken and name != "id":
                left_out.append(f"{name} of {one}")
            if name == "x" or name in taken:
                continue
            axes = tuple(f"{name}_axis{axis}" for axis in range(1, len(column.shape)))
            taken[name] = number, replace(column, dimensions=("id", *axes))
    return taken, tuple(left_out)


def _names(several: Sequence[Named], widths: Sequence[int]) -> NDArray[np.bytes_]:
    """`FILE.name` of each feature, `FILE.number` where a file has no names; files of the same name are numbered."""
    stems = [one.samples.file.stem for one in several]
    found = []
    for number, (one, width) in enumerate(zip(several, widths, strict=True)):
        stem = stems[number] if stems.count(stems[number]) == 1 else f"{stems[number]}-{number + 1}"
        told = one.samples.others.get("/data/feature_name")
        held = whole(told).tolist() if isinstance(told, Column) and told.shape == (width,) else range(width)
        found += [f"{stem}.{name.decode(errors='replace') if isinstance(name, bytes) else name}" for name in held]
    return texts(found)


def _contents(several: Sequence[Named], variables: dict[str, Variable], digests: Sequence[str]) -> Contents:
    """With the time of the newest source in place of the clock's, the same rows give the same file digest."""
    files = [one.samples.file.name for one in several]
    sources = [one.samples.columns["x"].source for one in several]
    held = [f"{source.file.name}:{source.name}" for source in sources if source is not None]
    told = {
        "/provenance/source_file": Variable(("source",), texts(held), "data set that was joined"),
        "/provenance/source_digest": Variable(("source",), texts(digests), "digest of its bytes"),
        "/provenance/source_rows": Variable(("source",), np.array([one.samples.rows for one in several]), "its rows"),
    }
    attributes = {
        "source": f"hpcjobs data join {' '.join(files)}",
        "source_digest": " ".join(digests),
        "created": max(one.samples.created for one in several),
    }
    return Contents("input", f"{' and '.join(files)}, joined by id", variables | told, attributes=attributes)
