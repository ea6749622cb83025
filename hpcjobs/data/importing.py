"""Import: any source that we know becomes one file of ours, checked while it is read, on any number of ranks."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs import __version__
from hpcjobs.data import arrays, journal
from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.examples import resolve
from hpcjobs.data.imagetable import open_images
from hpcjobs.data.kinds import fingerprint, recognise, refuse_foreign_options
from hpcjobs.data.parquet import open_parquet
from hpcjobs.data.pseudonyms import pseudonyms, read_key
from hpcjobs.data.schema import Again, Contents, Rows, Variable, rows_of, texts
from hpcjobs.data.space import bytes_needed, refuse_full
from hpcjobs.data.table import BLOCK_BYTES, Blocks, ImportOptions, Progress, Table, refuse_existing
from hpcjobs.data.texttable import open_text
from hpcjobs.data.writing import write_file
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator, on_root
from hpcjobs.parallel.shards import Span, piece

__all__ = ["ImportOptions", "ImportReport", "import_table"]

IDS_AT_A_TIME = 2**20


@dataclass(frozen=True)
class ImportReport:
    """What an import made: enough for one line to the user."""

    out: Path
    rows: int
    row_shape: tuple[int, ...]
    dtype: str
    skipped: int  # bad rows left out
    passed_over: int  # files that are no images
    identities: str  # row number | integer | text | pseudonym
    target: str  # none | integer | number | class
    classes: int
    digest: str  # root of the file digest

    @property
    def columns(self) -> int:
        """Values a row."""
        return int(np.prod(self.row_shape))

    def __str__(self) -> str:
        parts = [f"{self.out}: {_shape_words(self.rows, self.row_shape, 'columns')} of {self.dtype}"]
        parts.append(f"id: {self.identities}")
        if self.target != "none":
            parts.append(f"target: {self.target}" + f" ({self.classes} classes)" * (self.target == "class"))
        if self.skipped:
            parts.append(f"{self.skipped} bad rows skipped")
        if self.passed_over:
            parts.append(f"other files passed over: {self.passed_over}")
        return ", ".join(parts)


def import_table(
    source: str,
    out: Path,
    options: ImportOptions | None = None,
    progress: Progress = lambda done, total: None,
    communicator: Communicator | None = None,
) -> ImportReport:
    """Write what `source` names as `/data/x` (rows, ...) of the new file `out`. Collective.

    `progress` hears (done, total) in bytes of a text source or rows of any other.
    """
    options = options or ImportOptions()
    options.check()
    comm = communicator or SerialCommunicator()
    source = resolve(source)
    path, name, kind, before, key = on_root(comm, lambda: _admitted(source, out, options))
    if kind == "images":
        table = open_images(path, name, options, comm)
    else:
        table = _open_on_root(comm, partial(_open, source, path, kind, options, progress))
    if key is not None and table.identities is not None:
        table = replace(table, identities=pseudonyms(table.identities, key), identity_kind="pseudonym")
    title = f"{path.name}: {_shape_words(table.rows, table.row_shape, 'features')}"
    variables = _variables(table, path, comm, progress)
    contents = Contents("input", title, variables, attributes={"source": path.name})
    followed = [Path(file) for file, _ in table.followed]
    used = on_root(comm, lambda: fingerprint(path, *followed))
    on_root(comm, lambda: refuse_full(out, bytes_needed(contents)))

    def refuse_change() -> None:
        if fingerprint(path, *_others(options)) != before or fingerprint(path, *followed) != used:
            raise DataError(f"{path}: changed while it was read; import it again when nobody writes it")

    resume = _work_key(before, used, options, table)
    write_file(out, contents, comm, before_rename=refuse_change, resume=resume)
    return ImportReport(
        out,
        table.rows,
        table.row_shape,
        str(table.dtype),
        table.skipped,
        table.passed_over,
        table.identity_kind,
        table.target.kind if table.target else "none",
        len(table.target.class_names) if table.target else 0,
        on_root(comm, lambda: _digest(out)),
    )


def _admitted(source: str, out: Path, options: ImportOptions) -> tuple[Path, str | None, str, str, bytes | None]:
    """Path, name within it, kind and fingerprint of the source, and the key; what cannot be done is refused."""
    path, name, kind = recognise(source)
    refuse_foreign_options(options, path, kind)
    if out.exists() and out.samefile(path):
        raise SettingsError(f"{out}: is the source itself; name another file to write")
    refuse_existing(out, options.force)
    key = read_key(Path(options.key)) if options.key else None
    return path, name, kind, fingerprint(path, *_others(options)), key


def _others(options: ImportOptions) -> list[Path]:
    """Files that are read beside the source."""
    return [Path(options.labels)] if options.labels else []


def _open(source: str, path: Path, kind: str, options: ImportOptions, progress: Progress) -> Table:
    if kind == "text":
        return open_text(path, options, progress)
    if kind == "parquet":
        return open_parquet(path, options)
    if kind == "hdf5":
        return arrays.open_hdf5(source, options)
    return arrays.open_idx_table(path, options) if kind == "idx" else arrays.open_array(source, path, options)


def _open_on_root(comm: Communicator, look: Callable[[], Table]) -> Table:
    """The table that rank 0 has looked through, on all ranks; one that only rank 0 can read, without blocks."""
    kept: list[Table] = []

    def shown() -> Table:
        table = look()
        kept.append(table)
        if not table.alone:
            return table
        target = replace(table.target, blocks=_no_blocks) if table.target else None
        return replace(table, blocks=_no_blocks, target=target)

    table = on_root(comm, shown)
    return kept[0] if kept else table


def _work_key(before: str, used: str, options: ImportOptions, table: Table) -> str:
    """What an unfinished import must have in common with this one for its blocks to be those of this one."""
    parts = (__version__, before, used, replace(options, force=False), table.rows, table.row_shape, str(table.dtype))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _no_blocks(span: Span) -> Iterable[NDArray[Any]]:
    return ()


def _shape_words(rows: int, row_shape: tuple[int, ...], noun: str) -> str:
    """`150 rows x 4 columns`, or `60000 rows x 28 x 28 x 1`."""
    sizes = " x ".join(str(size) for size in row_shape)
    return f"{rows} rows x {sizes}" + f" {noun}" * (len(row_shape) == 1)


def _digest(path: Path) -> str:
    with BlockFile(path) as written:
        return written.record.root if written.record else ""


def _own_span(table: Table, comm: Communicator) -> Span:
    """The rows that this rank writes: whole blocks, whose size does not depend on the number of ranks."""
    if table.alone:
        return Span(0, table.rows if comm.rank == 0 else 0)
    step = block_rows(table)
    run = piece(-(-table.rows // step), comm.size, comm.rank)
    return Span(min(table.rows, run.start * step), min(table.rows, run.stop * step))


def block_rows(table: Table) -> int:
    """Rows of one block: at most 16 MiB, and enough blocks for many ranks, but no more than can be kept count of."""
    row_bytes = int(np.prod(table.row_shape)) * table.dtype.itemsize
    few = min(BLOCK_BYTES // row_bytes, -(-table.rows // 256))
    return max(1, few, -(-table.rows // journal.MOST_BLOCKS))


def _variables(table: Table, path: Path, comm: Communicator, progress: Progress) -> dict[str, Variable]:
    span = _own_span(table, comm)

    def rows(dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Blocks) -> Rows:
        return Rows(table.rows, span.start, dtype, shape, lambda: _exactly(span, blocks, path))

    def told(span: Span) -> Iterator[NDArray[Any]]:
        done = 0
        for block in table.blocks(span):
            yield block
            done += len(block)
            progress(done, len(span))

    blocks = table.blocks if table.alone else told
    again = Again(span, block_rows(table), lambda part: _exactly(part, blocks, path))
    x = replace(rows(table.dtype, table.row_shape, blocks), again=again)
    image = len(table.row_shape) == 3
    variables = {
        "/data/x": Variable(("id", "row", "column", "channel"), x, "pixels")
        if image
        else Variable(("id", "feature"), x, "features")
    }
    if table.identities is None:
        variables["/data/id"] = Variable(
            ("id",), rows(np.dtype(np.int64), (), _row_numbers), "row of the source, counted from 0"
        )
    else:
        own = table.identities[span.start : span.stop]
        meaning = {
            "row number": "row of the source, counted from 0",
            "pseudonym": "pseudonym of the row: HMAC-SHA256 of its identity, the first 32 hexadecimal digits",
        }.get(table.identity_kind, "identity of the row")
        variables["/data/id"] = Variable(("id",), rows_of(own, table.rows, span.start), meaning)
    if table.target:
        values = rows(table.target.dtype, (), table.target.blocks)
        meaning = "class number, -1 where unknown" if table.target.kind == "class" else "target"
        variables["/data/y"] = Variable(("id",), values, meaning)
        if table.target.class_names:
            variables["/data/class_name"] = _names("class", table.target.class_names, comm)
    if table.feature_names:
        variables["/data/feature_name"] = _names("feature", table.feature_names, comm)
    if table.followed:
        files, digests = zip(*table.followed, strict=True)
        variables["/provenance/source_file"] = Variable(("source",), texts(files), "file that was read")
        variables["/provenance/source_sha256"] = Variable(("source",), texts(digests), "SHA-256 of the file")
    return variables


def _names(dimension: str, names: tuple[str, ...], comm: Communicator) -> Variable:
    held = texts(names)
    own = held if comm.rank == 0 else held[:0]
    return Variable((dimension,), rows_of(own, len(names), 0), f"name of the {dimension}")


def _row_numbers(span: Span) -> Iterator[NDArray[np.int64]]:
    for first in range(span.start, span.stop, IDS_AT_A_TIME):
        yield np.arange(first, min(span.stop, first + IDS_AT_A_TIME), dtype=np.int64)


def _exactly(span: Span, blocks: Blocks, path: Path) -> Iterator[NDArray[Any]]:
    """Pass the blocks on, never more rows than were counted: another program may write the file meanwhile."""
    done = 0
    for block in blocks(span):
        done += len(block)
        if done > len(span):
            break
        yield block
    if done != len(span):
        raise DataError(f"{path}: changed while it was read ({len(span)} rows, then {done}); import it again")
