"""Files to make pages of, and the page as a reader without a browser finds it."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from hpcjobs.cli import report
from hpcjobs.data.schema import Contents, Variable
from hpcjobs.data.writing import write_file
from hpcjobs.runs.provenance import provenance

VOID = {"meta", "img", "br", "link", "hr", "input"}
CENSUS = [{"host": "node1", "pid": 7, "blas": "openblas", "blas_threads": 1, "processor": "one"}] * 3
ATTEMPT = {
    "job_id": "12",
    "ranks": 3,
    "nodes": 1,
    "started": "2026-01-01T00:00:00Z",
    "ended": "2026-01-01T00:01:00Z",
    "first_step": 0,
    "last_step": 4,
    "reason": "finished",
}
HISTORY = {"inertia": [9.0, 5.0, 4.0, 4.0], "shift": [3.0, 2.0, 1.0, 0.0]}


class Reader(HTMLParser):
    """Tags, texts and addresses of a page; fails on tags that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.cells: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def every(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, first: str) -> list[str]:
        """The cells of the only row that begins so."""
        (found,) = (row for row in self.cells if row and row[0] == first)
        return found


def read(path: Path) -> Reader:
    """A page, checked for what every page must be: well formed, without scripts, complete in itself."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "svg"}
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), (tag, attributes)
        assert attributes.get("src", "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
    assert all(image["alt"] for image in reader.every("img"))
    assert "viewport" in {meta.get("name") for meta in reader.every("meta")}
    return reader


def page(what: Path, *flags: str) -> Reader:
    """`hpcjobs report` in this process; the page that it makes."""
    out = what.parent / "page.html"
    assert report.main([str(what), "-o", str(out), "--force", *flags]) == 0
    return read(out)


def run_file(
    path: Path,
    kind: str = "result",
    *,
    title: str = "k-means of x into 2 clusters",
    job: str = "kmeans",
    settings: Mapping[str, Any] | None = None,
    history: Mapping[str, list[float]] | None = None,
    inputs: list[dict[str, Any]] | None = None,
    attempts: list[dict[str, Any]] | None = None,
    more: Mapping[str, Variable] | None = None,
) -> Path:
    """A file as a run of three ranks writes it, without running."""
    columns = HISTORY if history is None else history
    steps = np.arange(1, 1 + len(next(iter(columns.values()))))
    variables = {"/history/step": Variable(("step",), steps, "iteration")}
    variables |= {f"/history/{name}": Variable(("step",), np.array(values), name) for name, values in columns.items()}
    if kind == "result":
        centres = np.arange(8.0).reshape(2, 4)
        variables |= {
            "/result/labels": Variable(("id",), np.array([0, 0, 1], dtype=np.int32), "cluster of each row"),
            "/result/centres": Variable(("cluster", "feature"), centres, "centre of each cluster"),
            "/result/counts": Variable(("cluster",), np.array([2, 1]), "rows of each cluster"),
            "/result/inertia": Variable((), np.array(4.0), "sum of squared distances"),
            "/result/iterations": Variable((), np.array(4), "iterations"),
            "/result/converged": Variable((), np.array(1, dtype=np.uint8), "1 if the tolerance was met"),
        }
    asked = {"data": "/data/x.h5", "clusters": 2, "seed": 5} if settings is None else settings
    variables |= provenance(asked, CENSUS, inputs or [], attempts or [ATTEMPT], "MPI of the test")
    variables |= more or {}
    write_file(path, Contents(kind, title, variables, job, "1234-uuid", complete=kind != "live"))
    return path
