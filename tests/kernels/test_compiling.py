"""Once a job's kernels are compiled, nothing is left to compile when the work has begun, whatever its options."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from jobs.in_threads import finished, rows_with_traps, write

from hpcjobs.kernels.compiling import compile_for
from hpcjobs.kernels.cpu import kmeans, quality, rows


def signatures() -> dict[str, int]:
    """How many types each twin was compiled for."""
    modules: tuple[ModuleType, ...] = (kmeans, quality, rows)
    found = {f"{module.__name__}.{name}": item for module in modules for name, item in vars(module).items()}
    return {name: len(item.signatures) for name, item in found.items() if "signatures" in dir(item)}


@pytest.mark.parametrize(("stored", "read", "scaled"), [("u1", "u1", "f4"), ("f4", "f4", "f4"), ("i4", "f8", "f8")])
def test_nothing_is_left_to_compile(tmp_path: Path, stored: str, read: str, scaled: str) -> None:
    values = np.abs(rows_with_traps(70)).clip(1, 200).astype(stored)
    path = write(tmp_path / "d.h5", x=values, w=np.ones(70), t=np.arange(70) % 2)
    files = {"data": f"{path}:/x", "weights": f"{path}:/w"}
    compile_for(np.dtype(read), np.dtype(scaled))
    before = signatures()
    measured = {"quality": True, "truth": f"{path}:/t", "outliers": "5%"}
    finished(tmp_path, name="a", **files, **measured, clusters="2:4", scale="robust", init="k-means-parallel")
    finished(tmp_path, name="b", **files, clusters=3, metric="cosine", batch_size=20, memory="300B", max_iterations=5)
    finished(tmp_path, name="c", **files, clusters=60, scale="standard")
    assert signatures() == before
