"""A run that begins with a network prepares images as that one did, unless it says otherwise, which it then tells."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from jobs.in_threads import run_on
from jobs.networks import model_of

from hpcjobs.errors import UserError
from hpcjobs.jobs import cnn
from hpcjobs.jobs.cnn import EXPORTS, Settings, check
from hpcjobs.nn.declared import Conv, Dense, GlobalPool, Relu
from hpcjobs.settings import build

LAYERS = (Conv(filters=4, padding="same"), Relu(), GlobalPool(), Dense(units=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 8 x 8 x 3 as bytes, as shares, larger, and flat; networks that take them as they are, and prepared."""
    made = tmp_path_factory.mktemp("prepared")
    draw = np.random.default_rng(3)
    pixels, y = draw.integers(0, 256, size=(32, 8, 8, 3)).astype(np.uint8), np.arange(32) % 3
    for name, images in {
        "bytes": pixels,
        "shares": (pixels / 255).astype(np.float32),
        "larger": np.repeat(np.repeat(pixels, 2, axis=1), 2, axis=2),
        "flat": pixels.reshape(32, -1),
    }.items():
        with h5py.File(made / f"{name}.h5", "w") as file:
            file["x"], file["y"] = images, y
    save = EXPORTS[".safetensors"]
    (made / "plain.safetensors").write_bytes(save(model_of(LAYERS, (8, 8, 3), dtype="uint8")))
    (made / "old.safetensors").write_bytes(save(model_of(LAYERS, (8, 8, 3))))
    told: dict[str, Any] = {"crop": "6x6", "standardise": "feature", "rotation": 30.0}
    (made / "told.safetensors").write_bytes(save(model_of(LAYERS, (8, 8, 3), dtype="uint8", rescale=0.01, **told)))
    return made


def settings(folder: Path, data: str, network: str, **more: Any) -> Settings:
    names = {"data": f"{folder}/{data}.h5", "init_from": f"{folder}/{network}.safetensors"}
    built = build(Settings, None, {"batch_size": 8, "epochs": 1, **names, **more})
    assert isinstance(built, Settings)
    return built


def test_what_the_run_does_not_say_is_taken_over(folder: Path) -> None:
    ground = check(settings(folder, "bytes", "told", augmentation="zoom=0.1", freeze="1"))
    found = ground.preparation
    assert (found.rescale, found.augmentation.standardise, found.augmentation.crop) == (0.01, "feature", "6x6")
    assert (found.augmentation.rotation, found.augmentation.zoom) == (0.0, 0.1)  # chance is the run's own
    assert found.channels is not None and found.channels.deviation.tolist() == [50.0, 51.0, 52.0]
    (line,) = ground.notes
    assert all(word in line for word in ("--rescale 0.01", "standardise=feature", "crop=6x6", "deviation"))


def test_what_is_taken_over_is_kept_in_the_result_and_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = settings(folder, "bytes", "told")
    flags = {"data": wanted.data, "init_from": wanted.init_from, "batch_size": 8, "epochs": 1}
    found = [run_on(cnn, folder, ranks, name=f"on{ranks}", **flags) for ranks in (1, 3)]
    assert found[0] is not None and found[1] is not None and found[0].digest == found[1].digest
    assert "images are prepared as for that network: --rescale 0.01" in capfd.readouterr().err
    facts = json.loads(found[0].result["network"].item())
    assert facts["channels"] == [[100.0] * 3, [50.0, 51.0, 52.0]]
    assert (facts["rescale"], facts["dtype"], facts["augmentation"]["crop"]) == (0.01, "uint8", "6x6")


def test_images_of_another_type_are_standardised_by_themselves(folder: Path) -> None:
    ground = check(settings(folder, "shares", "told"))
    assert ground.preparation.channels is None and ground.preparation.augmentation.standardise == "feature"
    assert any("they are float32 times 1, there uint8 times 0.01" in line for line in ground.notes)


def test_nothing_is_told_where_nothing_differs(folder: Path) -> None:
    for data in ("bytes", "flat"):  # flat rows are images as those of the network were
        ground = check(settings(folder, data, "plain", freeze="1"))
        assert ground.notes == () and ground.images.source.shape == (32, 8, 8, 3)


AGAINST = [
    ("plain", {"rescale": 1}, "--rescale is 1, there 0.00392157"),
    ("told", {"augmentation": "standardise=sample"}, "standardise is sample, there feature"),
    ("told", {"augmentation": "crop=4x4"}, "4 x 4 x 3 come to the network, there 6 x 6 x 3"),
    ("plain", {"image_shape": "4x16x3"}, "4 x 16 x 3 come to the network, there 8 x 8 x 3"),
]


@pytest.mark.parametrize(("network", "more", "words"), AGAINST)
def test_what_contradicts_is_told_and_refused_where_the_first_layer_stays(
    folder: Path, network: str, more: dict[str, Any], words: str
) -> None:
    notes = check(settings(folder, "flat", network, **more)).notes
    assert any(line.startswith("warning: ") and words in line for line in notes), notes
    with pytest.raises(UserError, match="conv_1 stays as it is") as found:
        check(settings(folder, "flat", network, freeze="conv_1", **more))
    assert words in str(found.value)


@pytest.mark.parametrize(
    ("data", "network", "more", "words"),
    [
        ("shares", "plain", {}, "they are float32 times 1, there uint8 times 0.00392157"),
        ("shares", "plain", {"rescale": 0.5}, "they are float32 times 0.5"),
        ("larger", "plain", {}, "16 x 16 x 3 come to the network, there 8 x 8 x 3"),
        ("bytes", "old", {"rescale": 1}, "--rescale is 1, there 0.00392157"),
    ],
)
def test_images_that_are_others_are_told_and_never_refused(
    folder: Path, data: str, network: str, more: dict[str, Any], words: str
) -> None:
    for freeze in (None, "conv_1"):
        notes = check(settings(folder, data, network, **({"freeze": freeze} if freeze else {}), **more)).notes
        assert any(line.startswith("warning: ") and words in line for line in notes), notes


MISFIT = json.dumps(
    {"layers": [], "loss": "binary", "classes": 2, "images": [8, 8, 3], "rescale": 1, "augmentation": {},
     "channels": [[1.0], [1.0]]}
)  # fmt: skip


@pytest.mark.parametrize("damage", ["{", '{"layers": []}', '{"rescale": "much"}', MISFIT])
def test_a_network_that_tells_nonsense_of_itself_is_named(folder: Path, damage: str) -> None:
    from hpcjobs.data import safetensors

    held = {"conv_1_weights": np.zeros((3, 3, 3, 4), np.float32)}
    (folder / "damaged.safetensors").write_bytes(safetensors.encode(held, {"hpcjobs_network": damage}))
    with pytest.raises(UserError, match=r"damaged\.safetensors: its network is damaged"):
        check(settings(folder, "bytes", "damaged"))
