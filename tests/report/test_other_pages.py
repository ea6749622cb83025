"""Pages of data sets and of sweeps."""

from pathlib import Path

import numpy as np
import pytest
from pages import page, run_file
from pretend import end, new_sweep

from hpcjobs.data.schema import Contents, Variable
from hpcjobs.data.writing import write_file
from hpcjobs.errors import SettingsError
from hpcjobs.runs.sweeps import Sweep, Task, write


def data_file(path: Path, x: np.ndarray, axes: tuple[str, ...], **more: np.ndarray) -> Path:
    variables = {"/data/x": Variable(axes, x, "rows")}
    variables |= {f"/data/{name}": Variable(("id",), values, name) for name, values in more.items()}
    write_file(path, Contents("input", "some rows", variables))
    return path


def test_the_page_of_a_data_set_shows_what_it_holds(digits: Path) -> None:
    found = page(digits / "digits.h5", "--shape", "8x8")
    assert "A data set, complete." in found.text
    assert found.row("/data/x")[1:3] == ["1797 x 64", "uint8"]
    alts = [image["alt"] for image in found.every("img")]
    assert [alt.split(":")[0] for alt in alts] == ["Scatter plot", "24 small images.", "Bar chart"]
    assert "10 classes of 174 to 183 rows" in alts[2]  # as scikit-learn's own description of these digits says
    assert "coloured by /data/y" in found.text


def test_rows_whose_axes_say_so_are_images(tmp_path: Path) -> None:
    x = np.random.default_rng(2).integers(0, 255, size=(9, 5, 6, 3)).astype(np.uint8)
    path = data_file(tmp_path / "d.h5", x, ("id", "row", "column", "channel"))
    assert "9 small images." in [image["alt"] for image in page(path).every("img")]
    flat = data_file(tmp_path / "f.h5", x.reshape(9, -1), ("id", "feature"))
    assert not any("images" in image["alt"] for image in page(flat).every("img"))


def test_a_data_set_of_one_column_or_with_nan_has_a_page(tmp_path: Path) -> None:
    path = data_file(tmp_path / "d.h5", np.array([[1.0], [np.nan], [3.0], [7.0]]), ("id", "feature"))
    assert "Scatter plot: 3 rows along" in str(page(path).every("img"))
    single = data_file(tmp_path / "s.h5", np.array([1.0, 2.0]), ("id",))
    assert "has 1 axes (2,), so no rows of several features" in page(single).text


def test_the_page_of_a_sweep_ranks_its_tasks(tmp_path: Path) -> None:
    scores = {(2, 0): 9.0, (2, 1): 11.0, (4, 0): 5.0, (4, 1): 4.0, (8, 0): 2.0}
    folders = new_sweep(tmp_path / "sweep", 6)
    tasks = [
        Task(number, folder.path.name, {"clusters": clusters, "seed": seed})
        for number, (folder, (clusters, seed)) in enumerate(zip(folders, [*scores, (8, 1)], strict=True))
    ]
    write(tmp_path / "sweep", Sweep("kmeans", tasks, "elbow"))
    for folder, score in zip(folders, scores.values(), strict=False):
        more = {"/result/inertia": Variable((), np.array(score), "sum")}
        run_file(folder.result, more=more)
        end(folder, 0, "finished")
    end(folders[5], 1, "rank 0: <b>bad</b>")
    found = page(tmp_path / "sweep")
    assert "6 tasks: 5 done, 1 failed" in found.text
    assert "2 in task-00004: clusters 8, seed 0" in found.text
    assert "11 in task-00001: clusters 2, seed 1" in found.text
    assert found.row("task-00003") == ["task-00003", "4", "1", "4", "done"]
    assert found.row("task-00005") == ["task-00005", "8", "1", "", "failed: rank 0: <b>bad</b>"]
    assert [image["alt"] for image in found.every("img")] == [
        "Line chart: inertia is 10 at clusters 2 and 2 at clusters 8."
    ]
    with pytest.raises(SettingsError, match="name one of its tasks"):
        page(tmp_path / "sweep", "--shape", "2x2")


def test_a_sweep_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    new_sweep(tmp_path / "sweep", 3)
    found = page(tmp_path / "sweep")
    assert "3 tasks: 3 not started" in found.text
    assert not found.every("img")
