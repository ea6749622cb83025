"""`hpcjobs data preview --augment` shows what a loader would hand to the network."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from data import samples_made

from hpcjobs.cli.data._augmented import augmented
from hpcjobs.cli.data.preview import main
from hpcjobs.errors import SettingsError
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation


def test_versions_are_the_image_and_its_first_passes(tmp_path: Path) -> None:
    given, rows = samples_made.values(20)["x"][[3, 11]], np.array([3, 11])
    (tmp_path / "job.toml").write_text(
        "epochs = 3\n[augmentation]\nrotation = 30\ncontrast = 0.3\nstandardise = 'sample'\n"
    )
    prepare = Preparation(Augmentation(rotation=30, contrast=0.3), (5, 4, 3), seed=9)
    for what in ("rotation=30,contrast=0.3", str(tmp_path / "job.toml")):
        found = augmented(what, 9)(given, rows)
        assert list(found) == ["", *(f"pass {number}" for number in range(5))]
        np.testing.assert_array_equal(found[""], given)
        for number in range(5):
            expected, _ = prepare(given, rows, rows, number)
            assert found[f"pass {number}"].dtype == np.uint8
            np.testing.assert_array_equal(found[f"pass {number}"], np.rint(expected))


def test_a_sheet_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples_made.ours(tmp_path / "a.h5")
    asked = [str(tmp_path / "a.h5"), str(tmp_path / "s.png"), "--augment", "crop=3x3,crop-padding=1,mixup=0.2"]
    assert main([*asked, "--seed", "4"]) == 0
    assert "4 of 200 images of 5 x 4 x 3" in capsys.readouterr().out
    assert (tmp_path / "s.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("rotatio=3", "--augment: unknown key 'rotatio'; did you mean 'rotation'"),
        ("rotation=3000", "--augment: rotation is 3000.0: expected float <= 180.0"),
        ("fill=mirror", "--augment: fill is 'mirror': expected nearest or constant or reflect or wrap"),
        ("crop=300x3", "crop is 300x3, but images are 5x4; take less, or more crop-padding"),
        ("job.toml", r"job.toml: has no table \[augmentation\] that says how images are changed"),
        ("none.toml", "none.toml: no such file"),
    ],
)
def test_what_cannot_be_shown_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    samples_made.ours(tmp_path / "a.h5")
    (tmp_path / "job.toml").write_text("epochs = 3\n")
    with pytest.raises(SettingsError, match=told):
        main(["a.h5", "s.png", "--augment", what])
    assert not (tmp_path / "s.png").exists()


def test_a_table_has_no_images_to_change(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((9, 4))
    with pytest.raises(SettingsError, match=r"--augment is for images; .* holds a table, name their --shape HxWxC"):
        main([str(tmp_path / "a.h5"), str(tmp_path / "s.png"), "--augment", "rotation=3"])
