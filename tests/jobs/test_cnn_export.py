"""Networks as files of other programs: onnxruntime gives our probabilities, safetensors our numbers."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from jobs.networks import Layers, model_of
from safetensors.numpy import load

from hpcjobs.data import extras
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._cnn_onnx import read_graph
from hpcjobs.jobs.cnn import EXPORTS, predict
from hpcjobs.nn.declared import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Leaky,
    MaxPool,
    Relu,
    Residual,
    Sigmoid,
    Tanh,
)  # fmt: skip
from hpcjobs.nn.presets import lenet, resnet20

SMALL_REFERENCE = (
    Conv(filters=4), Relu(), MaxPool(), Conv(filters=8), Relu(), MaxPool(), Flatten(), Dense(units=16), Relu(),
    Dropout(), Dense(units=1),
)  # fmt: skip
AWKWARD = (
    Conv(filters=3, size=4, stride=2, padding="same", bias=False), Leaky(slope=0.2), MaxPool(size=3, stride=1),
    BatchNorm(epsilon=1e-3), Residual(layers=(Conv(filters=3, size=2, padding="same"), Tanh())), AveragePool(),
    Flatten(), Dense(units=5, bias=False), BatchNorm(), Sigmoid(), Flatten(), Dense(units=3),
)  # fmt: skip
POOLED = (Conv(filters=4, size=5, stride=3, padding="same"), Relu(), GlobalPool(), Dense(units=1))
CASES: dict[str, tuple[Layers, tuple[int, ...], str]] = {
    "like the reference": (SMALL_REFERENCE, (15, 14, 3), "binary"),
    "lenet": (lenet(4), (9, 8, 1), "categorical"),
    "resnet20": (resnet20(3), (12, 8, 3), "categorical"),
    "awkward": (AWKWARD, (13, 10, 2), "categorical"),
    "of numbers": (POOLED, (7, 11, 1), "mse"),
}


@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_gives_the_same_probabilities(case: str) -> None:
    layers, shape, kind = CASES[case]
    model = model_of(layers, shape, kind)
    light = np.linspace(0.1, 1, 7).reshape(7, 1, 1, 1)
    images = (light * np.random.default_rng(2).integers(0, 256, size=(7, *shape))).astype(np.uint8)
    session = onnxruntime.InferenceSession(EXPORTS[".onnx"](model), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"images": images.astype(np.float32)})
    ours = predict(model.arrays, images.reshape(7, -1))["probabilities"]
    assert theirs.shape == ours.shape
    assert np.ptp(ours, axis=0).max() > 1e-3  # images are told apart
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("standardise", ["none", "sample", "feature"])
def test_images_are_prepared_in_the_graph(standardise: str) -> None:
    model = model_of(lenet(3), (12, 13, 2), crop="8x9", standardise=standardise)
    images = np.random.default_rng(2).integers(0, 256, size=(5, 12, 13, 2)).astype(np.uint8)
    session = onnxruntime.InferenceSession(EXPORTS[".onnx"](model), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"images": images.astype(np.float32)})
    np.testing.assert_allclose(theirs, predict(model.arrays, images.reshape(5, -1))["probabilities"], atol=1e-5)


def test_a_crop_beyond_the_image_is_refused() -> None:
    with pytest.raises(SettingsError, match="crop-padding"):
        EXPORTS[".onnx"](model_of(lenet(3), (8, 8, 1), crop="10x10", crop_padding=1))


def test_safetensors_hold_every_array_and_tell_where_they_come_from(tmp_path: Path) -> None:
    model = model_of(AWKWARD, (13, 10, 2), names=("a", "b", "c"))
    content = EXPORTS[".safetensors"](model)
    arrays = load(content)
    theirs = {name.partition("/")[2]: array for name, array in model.arrays.items() if "/" in name}
    assert set(arrays) == set(theirs)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, theirs[name])
    facts = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert facts["hpcjobs_digest"] == "digest"
    assert json.loads(facts["hpcjobs_class_names"]) == ["a", "b", "c"]


def test_an_onnx_file_gives_our_arrays_back(tmp_path: Path) -> None:
    model = model_of(AWKWARD, (13, 10, 2))
    (tmp_path / "model.onnx").write_bytes(EXPORTS[".onnx"](model))
    arrays, facts = read_graph(tmp_path / "model.onnx")
    assert json.loads(facts["hpcjobs_network"])["classes"] == 3
    for name, array in model.arrays.items():
        if "/" in name:
            np.testing.assert_array_equal(arrays[name.partition("/")[2]], array.astype(np.float32))


def test_the_same_network_is_the_same_file() -> None:
    for make in EXPORTS.values():
        assert make(model_of(lenet(2), (8, 8, 1))) == make(model_of(lenet(2), (8, 8, 1)))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(SettingsError, match=r"hpcjobs\[onnx\]"):
        extras.load("onnx", "onnx", "an ONNX file")
