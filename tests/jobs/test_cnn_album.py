"""Images in a folder or an archive are looked at as their import would be, and nothing of that import stays."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from jobs.in_threads import finished, run_on
from pictures import archive, pixels, save_deep_png, save_png

from hpcjobs.cli import dispatch
from hpcjobs.data.importing import ImportOptions, import_table
from hpcjobs.errors import UserError
from hpcjobs.jobs import cnn
from hpcjobs.jobs._predict import Settings, check, need, predict_file
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.runs.model import read_model

SIZES = ((11, 17), (30, 9), (8, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LeNet for cats and dogs of 8 x 8, trained for a moment, and images of other sizes and colours."""
    made = tmp_path_factory.mktemp("album")
    for name, count, channels in (("photos", 8, 3), ("new", 3, 3), ("grey", 3, 1)):
        for number in range(count):
            for offset, kind in ((0, "dog"), (50, "cat")):
                seed = 7 * count + number + offset
                save_png(made / name / kind / f"{number}.png", pixels(seed, *SIZES[number % 3], channels))
    for number in range(3):
        save_png(made / "bare" / f"{number}.png", pixels(number))
    import_table(f"{made}/photos", made / "photos.h5", ImportOptions(size="8x8"))
    flags: dict[str, Any] = {"network": "lenet", "batch_size": 16, "shards": 2, "epochs": 1}
    assert run_on(cnn, made, name="net", data=f"{made}/photos.h5", **flags) is not None
    return made


def asked(folder: Path, data: str, name: str, **more: Any) -> Settings:
    model, data = f"{folder}/net/result.h5", str(folder / data)
    return Settings(model=model, data=data, file=f"{folder}/out/{name}", force=True, **more)


def predicted(folder: Path, data: str, ranks: int = 1, **more: Any) -> dict[str, Any]:
    """What is written, with the attributes that tell where it comes from; nothing else may be left beside it."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    wanted = asked(folder, data, "p.h5", **more)
    on_ranks(ranks, lambda comm: predict_file(wanted, comm))
    assert [entry.name for entry in (folder / "out").iterdir()] == ["p.h5"]
    with h5py.File(folder / "out" / "p.h5") as file:
        values = {name: item[()] for name, item in file["prediction"].items()}
        return values | {name: file.attrs[name] for name in ("data", "data_digest")}


@pytest.mark.parametrize(("data", "channels"), [("new", None), ("grey", "rgb")])
def test_a_folder_is_predicted_as_its_import_is(folder: Path, data: str, channels: str | None) -> None:
    options = ImportOptions(size="8x8", channels=channels, force=True)
    import_table(f"{folder}/{data}", folder / "imported.h5", options)
    expected, found = predicted(folder, "imported.h5"), predicted(folder, data)
    assert found["id"].tolist() == [f"{kind}/{number}.png".encode() for kind in ("cat", "dog") for number in range(3)]
    for name in ("id", "labels", "probabilities", "class_name"):
        np.testing.assert_array_equal(found[name], expected[name])
    assert (expected["data"], found["data"]) == (b"imported.h5", data.encode())


@pytest.mark.parametrize("ranks", [2, 3, 4, 9])
def test_any_number_of_ranks_predicts_the_same_of_a_folder(folder: Path, ranks: int) -> None:
    alone, found = predicted(folder, "new"), predicted(folder, "new", ranks)
    assert all(np.array_equal(alone[name], found[name]) for name in alone)


def test_an_archive_and_a_single_image_are_predicted_too(folder: Path) -> None:
    archive(folder / "new.tar.gz", folder / "new", "w:gz")
    whole, packed = predicted(folder, "new"), predicted(folder, "new.tar.gz")
    np.testing.assert_array_equal(whole["probabilities"], packed["probabilities"])
    assert whole["data_digest"] == packed["data_digest"]
    assert predicted(folder, "new/dog/1.png")["id"].tolist() == [b"1.png"]


def test_what_a_layer_gives_of_a_folder_is_written(folder: Path) -> None:
    assert predicted(folder, "new", layer="relu_3")["features"].shape == (6, 64)


def test_memory_of_a_rank_counts_the_images(folder: Path) -> None:
    assert need(asked(folder, "photos", "o.h5"), 2) - need(asked(folder, "new", "o.h5"), 2) == 16 * (8 - 3)


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_folder_is_evaluated_as_its_import_is(folder: Path, ranks: int) -> None:
    import_table(f"{folder}/new", folder / "new.h5", ImportOptions(size="8x8", force=True))
    model = read_model(folder / "net" / "result.h5", cnn.MODEL)
    told = [
        on_ranks(ranks, lambda comm, data=data: cnn.evaluate(model, cnn.Evaluation(data=data, bootstrap=20), comm).told)
        for data in (f"{folder}/new", f"{folder}/new.h5")
    ]
    assert len({json.dumps(one) for some in told for one in some}) == 1


def test_what_is_said_of_each_image_outlives_the_file_that_it_was_read_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = ["evaluate", f"{folder}/net/result.h5", f"{folder}/new", "--bootstrap", "0", "-o", "e.h5"]
    assert dispatch(told) == 0
    with h5py.File("e.h5") as file:
        assert file["prediction/id"][0] == b"cat/0.png"
        assert file["prediction/truth"][()].tolist() == [0, 0, 0, 1, 1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["e.h5"]


@pytest.fixture
def torn(folder: Path, tmp_path: Path) -> Path:
    """The new images, one of them cut off."""
    shutil.copytree(folder / "new", tmp_path / "torn")
    image = tmp_path / "torn" / "dog" / "1.png"
    image.write_bytes(image.read_bytes()[:60])
    return tmp_path / "torn"


def test_a_damaged_image_is_named_or_left_out_and_counted(
    folder: Path, torn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"torn: dog/1\.png: damaged.*--bad-rows skip"):
        predicted(folder, str(torn))
    assert not [*(folder / "out").iterdir()]
    assert len(predicted(folder, str(torn), ranks=2, bad_rows="skip")["id"]) == 5
    assert "5 images as 8 x 8 x 3 of uint8, 1 damaged ones left out" in capsys.readouterr().err


def test_deeper_colours_than_the_network_knows_are_named(folder: Path, tmp_path: Path) -> None:
    save_deep_png(tmp_path / "deep.png", pixels(1, 8, 8, 3, "u2"))
    with pytest.raises(UserError, match=r"deep\.png: holds \d+, which uint8 cannot hold"):
        predicted(folder, f"{tmp_path}/deep.png")


@pytest.mark.parametrize(
    ("data", "more", "words"),
    [
        ("photos.h5", {"bad_rows": "skip"}, ["--bad-rows skip", "photos.h5"]),
        ("nowhere.png", {}, ["nowhere.png", "no such file"]),
        ("new", {"layer": "relu_9"}, ["relu_9", "did you mean"]),
    ],
)
def test_what_cannot_be_predicted_is_named_before_the_queue(
    folder: Path, data: str, more: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as found:
        check(asked(folder, data, "o.h5", **more))
    assert all(word in str(found.value) for word in words), found.value


def test_images_are_no_rows_of_a_model_that_knows_no_height_and_width(folder: Path) -> None:
    finished(folder, name="clusters", data=f"{folder}/photos.h5", clusters=2)
    wanted = Settings(model=f"{folder}/clusters/result.h5", data=f"{folder}/new", file=f"{folder}/o.h5")
    with pytest.raises(UserError, match=r"new: holds images.*rows of 192 numbers.*hpcjobs data import"):
        check(wanted)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("bare", ["bare: ", "no class folders", "--labels"]),
        ("zebras", ["zebras:/data/y", "id zebra/0.png is zebra", "cat, dog"]),
    ],
)
def test_images_without_a_class_that_is_known_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_png(folder / "zebras" / "zebra" / "0.png", pixels(0))
    model = read_model(folder / "net" / "result.h5", cnn.MODEL)
    with pytest.raises(UserError) as found:
        cnn.evaluate(model, cnn.Evaluation(data=f"{folder}/{data}"), SerialCommunicator())
    assert all(word in str(found.value) for word in words), found.value
    assert not [*tmp_path.iterdir()]
