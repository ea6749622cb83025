"""The page of a CNN run: classes, reliability, the worst mistakes as pictures, and a card with its blanks."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from jobs.in_threads import Run, run_on
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from hpcjobs.jobs import cnn
from hpcjobs.jobs._cnn_figures import figures
from hpcjobs.nn.measures import BINS
from hpcjobs.report.kinds import Curve, Images, Material
from hpcjobs.report.page import render
from hpcjobs.report.runs import of_file
from hpcjobs.runs.story import tell

NAMES = [b"ant", b"bee <script>", b"cow"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    draw = np.random.default_rng(4)
    for name, rows in (("train", 48), ("test", 41)):
        with h5py.File(made / f"{name}.h5", "w") as file:
            file["data/x"] = draw.integers(0, 256, size=(rows, 8, 8, 3)).astype(np.uint8)
            file["data/y"] = draw.integers(0, 3, rows)
            file["data/id"] = np.array([f"{name}-{row}".encode() for row in range(rows)])
            file["data/class_name"] = np.array(NAMES)
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    found = run_on(
        cnn, folder, 3, data=f"{folder}/train.h5:/data/x", validation=f"{folder}/test.h5:/data/x", network="lenet",
        epochs=1, batch_size=16, shards=2,
    )  # fmt: skip
    assert found is not None
    return found


def test_the_worst_mistakes_are_kept_with_their_pixels(folder: Path, run: Run) -> None:
    with h5py.File(folder / "test.h5") as file:
        x, y = file["data/x"][()], file["data/y"][()]
    shares = run.result["probabilities"]
    losses = -np.log(shares[np.arange(41), y])
    wrong = [row for row in np.argsort(-losses) if shares[row].argmax() != y[row]][:12]
    assert run.result["worst_row"].tolist() == wrong
    np.testing.assert_array_equal(run.result["worst_image"], x[wrong])
    np.testing.assert_array_equal(run.result["truth"], y)


@pytest.mark.parametrize("kept", [0, 3])
def test_as_many_pictures_are_kept_as_are_asked_for(folder: Path, run: Run, kept: int) -> None:
    found = run_on(
        cnn, folder, name=f"keep{kept}", data=f"{folder}/train.h5:/data/x", validation=f"{folder}/test.h5:/data/x",
        network="lenet", epochs=1, batch_size=16, shards=2, keep_images=kept,
    )  # fmt: skip
    assert found is not None
    assert found.result.get("worst_row", np.empty(0)).tolist() == run.result["worst_row"].tolist()[:kept]
    assert ("worst_image" in found.result) == (kept > 0)
    assert tell(folder / f"keep{kept}" / "result.h5")["settings"]["keep_images"] == kept
    titles = [figure.title for figure in figures(Material(found.result, {}))]
    assert ("Worst mistakes" in titles) == (kept > 0)


def test_the_page_has_a_table_of_classes_and_a_card_with_blanks(folder: Path, run: Run) -> None:
    page = of_file(folder / "run" / "result.h5", None)
    parts = {section.title: section for section in page.sections}
    (grid,) = parts["Each class"].grids
    truth, shares = run.result["truth"], run.result["probabilities"]
    theirs = precision_recall_fscore_support(truth, shares.argmax(axis=1), zero_division=0)
    for number, row in enumerate(grid.rows):
        assert row[0] == NAMES[number].decode()
        assert row[1] == theirs[3][number]
        told = [float(value or 0) for value in row[2:5]]
        np.testing.assert_allclose(told, [column[number] for column in theirs[:3]], atol=5e-4)
        np.testing.assert_allclose(float(row[5]), roc_auc_score(truth == number, shares[:, number]), atol=5e-4)
    card = dict(parts["Model card"].facts)
    assert card["result digest"] == run.digest
    assert "48 rows" in card["data"]
    assert card["takes"] == "images of 8 x 8 x 3"
    for blank in ("intended use", "limits"):
        assert card[blank].startswith("____")
    text = render(page).decode()
    assert "Worst mistakes" in text
    assert "<script>" not in text


def test_figures_show_reliability_and_mistakes(run: Run) -> None:
    drawn = {figure.title: figure for figure in figures(Material(run.result, {}))}
    curve, pictures = drawn["Reliability"], drawn["Worst mistakes"]
    assert isinstance(curve, Curve) and isinstance(pictures, Images)
    shares, truth = run.result["probabilities"], run.result["truth"]
    place = np.ceil(shares.max(axis=1) * BINS)
    expected = [(shares.argmax(axis=1) == truth)[place == one].mean() for one in np.unique(place)]
    np.testing.assert_allclose(curve.lines[1].y, expected)
    first = run.result["worst_row"][0]
    assert pictures.names[0].startswith(NAMES[truth[first]].decode() + " as ")
    assert f"test-{first}" in pictures.caption
