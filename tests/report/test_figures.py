"""Figures are the same text each time, show what they are given, and leave the user's matplotlib alone."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
from sklearn.decomposition import PCA

from hpcjobs.report import reading
from hpcjobs.report.figures import colours, draw
from hpcjobs.report.kinds import Bars, Curve, Figure, Images, Line, Scatter
from hpcjobs.report.projection import project

FIGURES: dict[str, Figure] = {
    "curve": Curve("t", "c", "a", [Line([1, 2, 3], [3.0, 2.0, 1.0], "one"), Line([1], [5.0], faint=True)], "x", "y"),
    "bars": Bars("t", "c", "a", np.array([3, 1, 2]), "x", "y"),
    "many bars": Bars("t", "c", "a", np.arange(500), "x", "y"),
    "scatter": Scatter("t", "c", "a", np.eye(200)[:, :2], np.arange(200) % 30 - 1, np.eye(30)[:, :2], "x", "y"),
    "grey images": Images("t", "c", "a", np.arange(24.0).reshape(4, 2, 3), ["0", "1", "2", "3"]),
    "one image": Images("t", "c", "a", np.zeros((1, 9, 2)), ["a"]),
    "colour images": Images("t", "c", "a", np.arange(36.0).reshape(3, 2, 2, 3), ["$", "\\frac", "日"]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_text_whatever_the_user_has_set(name: str) -> None:
    first = draw(FIGURES[name])
    with matplotlib.rc_context({"font.size": 30.0, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert draw(FIGURES[name]) == first
        assert matplotlib.rcParams["font.size"] == 30
    root = ElementTree.fromstring(first)  # noqa: S314 (made here)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert len(first) < 400_000


def test_neighbouring_groups_have_different_colours() -> None:
    for count in (0, 1, 2, 10, 11, 300):
        found = colours(count)
        assert len(found) >= count
        assert (np.abs(np.diff(found[:count], axis=0)).max(axis=1) > 0.1).all()


@pytest.mark.parametrize("shape", [(40, 5), (5, 40), (30, 1), (2, 2), (20, 2)])
def test_the_plane_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(3).normal(size=shape) @ np.diag(np.arange(1.0, shape[1] + 1))
    flat = project(rows)
    assert flat is not None
    theirs = PCA(n_components=min(2, *shape)).fit(rows)
    placed = np.abs(theirs.transform(rows))
    np.testing.assert_allclose(np.abs(flat.points[:, : placed.shape[1]]), placed, atol=1e-9)
    np.testing.assert_allclose(flat.share, theirs.explained_variance_ratio_.sum(), rtol=1e-9)
    np.testing.assert_allclose(flat.place(rows), flat.points, atol=1e-9)


@pytest.mark.parametrize("rows", [np.empty((0, 3)), np.ones((1, 3)), np.full((9, 3), np.nan), np.empty((5, 0))])
def test_too_few_rows_have_no_plane(rows: np.ndarray) -> None:
    assert project(rows) is None


def test_equal_rows_lie_on_one_point() -> None:
    flat = project(np.ones((4, 3)))
    assert flat is not None
    assert not flat.points.any()
    assert flat.share == 1


@pytest.mark.parametrize("rows", [2, 29, 30, 31, 100])
def test_the_sample_is_evenly_spaced_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    x = np.arange(rows * 2.0).reshape(rows, 2)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(1, 2))
    monkeypatch.setattr(reading, "MOST_ROWS", 10)
    monkeypatch.setattr(reading, "ROWS_AT_A_TIME", 7)
    found = reading.sample(*reading.find(f"{tmp_path}/x.h5:/x"))
    assert found.rows is not None
    assert found.picked is not None
    assert len(found.rows) <= 10
    assert np.array_equal(found.rows, x[found.picked])
    assert len(set(np.diff(found.picked))) <= 1
