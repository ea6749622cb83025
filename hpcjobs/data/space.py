"""Whether a file will fit on the disk, told before any work."""

import math
import os
from pathlib import Path

from hpcjobs.data.publish import unfinished
from hpcjobs.data.schema import Contents
from hpcjobs.errors import DataError

# Metadata, alignment of each data set to 1 MiB, and the user block.
MARGIN = 2**20


def bytes_needed(contents: Contents) -> int:
    """Roughly how large the file will be, never less than its values."""
    values = sum(math.prod(variable.shape) * variable.values.dtype.itemsize for variable in contents.variables.values())
    return values + MARGIN * (1 + len(contents.variables))


def refuse_full(path: Path, needed: int) -> None:
    """Refuse when less than `needed` bytes are free for us where `path` will lie."""
    disk = os.statvfs(path.parent)
    left = unfinished(path)  # of an earlier attempt: it is continued, or given up
    free = disk.f_bavail * disk.f_frsize + (512 * left.stat().st_blocks if left.exists() else 0)
    if needed > free:
        raise DataError(
            f"{path}: needs {shown(needed)} where {shown(free)} are free on the disk of {path.parent.absolute()}; "
            "free some space there, or name a file elsewhere"
        )


def shown(count: int) -> str:
    """A number of bytes to read: `12.3 GB (12300000000 bytes)`."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit} ({count} bytes)"
