"""Files to test with: one of ours with every kind of content, and the worst that others may hand us."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpcjobs.data.schema import Contents, Rows, Variable, rows_of, text, texts
from hpcjobs.data.writing import write_file

ROWS = 3000


def table(seed: int = 5) -> np.ndarray:
    """Numbers (ROWS, 400) of 9.6 MB: three 4 MiB blocks of the file digest."""
    return np.random.default_rng(seed).normal(size=(ROWS, 400))


def result_variables(labels: np.ndarray) -> dict[str, Variable]:
    """A small `/result` of every shape and kind that we write."""
    return {
        "/result/id": Variable(("id",), texts([f"s{row}" for row in range(len(labels))]), "sample"),
        "/result/labels": Variable(("id",), rows_of(labels, len(labels), 0), "cluster of each row"),
        "/result/centres": Variable(("cluster", "feature"), np.arange(6.0).reshape(2, 3), "centres", "m"),
        "/result/inertia": Variable((), np.array(3.5), "sum of squared distances"),
    }


def ours(path: Path, **more: str) -> Path:
    """A file of ours with rows, ids of text, names, a result and scalars."""
    x = table()
    variables = {
        "/data/x": Variable(("id", "feature"), rows_of(x, ROWS, 0), "features"),
        "/data/id": Variable(("id",), rows_of(texts([f"tile-{row}ä" for row in range(ROWS)]), ROWS, 0), "tile"),
        "/data/empty": Variable(("nothing",), Rows(0, 0, np.dtype("f4"), (), lambda: ()), "no rows"),
        "/provenance/command": Variable((), text("hpcjobs run größer"), "command"),
        **result_variables(np.arange(7, dtype=np.int32) % 2),
    }
    write_file(path, Contents("result", "a täst", variables, "kmeans", "1234", attributes=more))
    return path


@pytest.fixture(scope="session")
def our_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same file, made once, as bytes to damage."""
    return ours(tmp_path_factory.mktemp("ours") / "ours.h5").read_bytes()


@pytest.fixture
def our_file(our_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "ours.h5"
    path.write_bytes(our_bytes)
    return path


@pytest.fixture
def values() -> np.ndarray:
    return table()


@pytest.fixture
def make_result(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Write `/result` with changed variables; the file and its result digest."""

    def make(name: str = "result.h5", **changed: Variable) -> tuple[Path, str]:
        variables = result_variables(np.arange(7, dtype=np.int32) % 2)
        variables |= {f"/result/{key}": variable for key, variable in changed.items()}
        path = tmp_path / name
        return path, write_file(path, Contents("result", "t", variables, "kmeans"))

    return make
