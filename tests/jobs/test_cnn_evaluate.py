"""What `evaluate` says of a network: each number against another library or a plain loop, on any number of ranks."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from clustering.threads_comm import on_ranks
from jobs.networks import images_file, model_of
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, roc_auc_score

from hpcjobs.data.schema import Contents
from hpcjobs.data.writing import write_file
from hpcjobs.errors import UserError
from hpcjobs.jobs._cnn_evaluate import Evaluation
from hpcjobs.jobs.cnn import evaluate, predict
from hpcjobs.nn.presets import lenet
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.parallel.randomness import uniforms

ROWS, SHAPE = 90, (8, 8, 1)
NAMES = ("ant", "bee", "cow")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = np.where(np.arange(ROWS) < 7, b"few", np.where(np.arange(ROWS) % 2, b"odd", b"even"))
    ids = np.array([f"img{row:03}".encode() for row in range(ROWS)])
    path = tmp_path_factory.mktemp("evaluate") / "data.h5"
    return images_file(path, ROWS, SHAPE, 3, id=ids, site=groups, class_name=np.array([b"ant", b"bee", b"cow"]))


def told(data: Path, ranks: int = 1, **flags: Any) -> dict[str, Any]:
    model = model_of(lenet(3), SHAPE, names=NAMES)
    wanted = Evaluation(data=str(data), **flags)
    every = on_ranks(ranks, lambda communicator: evaluate(model, wanted, communicator).told)
    assert all(repr(one) == repr(every[0]) for one in every)
    return every[0]


def shares_of(data: Path) -> tuple[Any, Any]:
    with h5py.File(data) as file:
        x, y = file["data/x"][()], file["data/y"][()]
    return predict(model_of(lenet(3), SHAPE).arrays, x.reshape(ROWS, -1))["probabilities"], y


def test_measures_are_those_of_scikit_learn(data: Path) -> None:
    found = told(data, bootstrap=0)
    shares, truth = shares_of(data)
    labels = shares.argmax(axis=1)
    np.testing.assert_allclose(found["loss"], log_loss(truth, shares))
    np.testing.assert_allclose(found["accuracy"], accuracy_score(truth, labels))
    np.testing.assert_allclose(found["macro_f1"], f1_score(truth, labels, average="macro"))
    np.testing.assert_allclose(found["macro_roc_auc"], roc_auc_score(truth, shares, multi_class="ovr"))
    assert found["confusion"] == confusion_matrix(truth, labels).tolist()
    assert [row["name"] for row in found["classes"]] == list(NAMES)


def test_calibration_is_that_of_a_plain_loop(data: Path) -> None:
    found = told(data, bootstrap=0)
    shares, truth = shares_of(data)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    error = 0.0
    for row in found["reliability"]:
        inside = (confidence > row["above"]) & (confidence <= row["to"])
        assert row["rows"] == inside.sum()
        np.testing.assert_allclose(row["accuracy"], right[inside].mean())
        error += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    assert sum(row["rows"] for row in found["reliability"]) == ROWS
    np.testing.assert_allclose(found["calibration_error"], error / ROWS)


def test_intervals_are_percentiles_of_resampled_rows(data: Path) -> None:
    found = told(data, bootstrap=40, seed=5)
    shares, truth = shares_of(data)
    labels, every = shares.argmax(axis=1), []
    for sample in range(40):
        rows = (uniforms(5, "bootstrap", sample, 0, ROWS) * ROWS).astype(int)
        every.append(
            (
                accuracy_score(truth[rows], labels[rows]),
                f1_score(truth[rows], labels[rows], average="macro"),
                roc_auc_score(truth[rows], shares[rows], multi_class="ovr"),
            )
        )
    names = ("accuracy", "macro_f1", "macro_roc_auc")
    for span, column, name in zip(found["intervals"], np.array(every).T, names, strict=True):
        assert span["measure"] == name
        np.testing.assert_allclose([span["low"], span["high"]], np.percentile(column, [2.5, 97.5]))
        assert span["low"] <= found[name] <= span["high"]


@pytest.mark.parametrize("ranks", [2, 3, 4, 97])
def test_any_number_of_ranks_finds_the_same(data: Path, ranks: int) -> None:
    flags = {"bootstrap": 9, "groups": "site"}
    np.testing.assert_equal(told(data, ranks, **flags), told(data, **flags))


def told_few(found: dict[str, Any]) -> list[Any]:
    return [(one["group"], one["rows"], one["note"]) for one in found["groups"]]


def test_groups_are_judged_each_by_itself_and_small_ones_not(data: Path) -> None:
    found = told(data, groups="site", bootstrap=20)
    shares, truth = shares_of(data)
    right = shares.argmax(axis=1) == truth
    assert told_few(found) == [("even", 41, ""), ("few", 7, "too few to judge"), ("odd", 42, "")]
    of = {name: right[7:][np.arange(7, ROWS) % 2 == odd].mean() for name, odd in (("even", 0), ("odd", 1))}
    for one in found["groups"]:
        if one["group"] == "few":
            assert np.isnan(one["accuracy"])
        else:
            np.testing.assert_allclose(one["accuracy"], of[one["group"]])
            assert one["accuracy_low"] <= one["accuracy"] <= one["accuracy_high"]
    gap = next(one for one in found["gaps"] if one["measure"] == "accuracy")
    np.testing.assert_allclose(gap["gap"], max(of.values()) - min(of.values()))
    assert gap["highest"] == max(of, key=lambda name: of[name])


def test_groups_may_lie_in_another_file(data: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["hospital"] = np.arange(ROWS) % 2
    found = told(data, groups=f"{tmp_path / 'other.h5'}:/hospital", bootstrap=0)
    assert told_few(found) == [(0, 45, ""), (1, 45, "")]


def test_the_worst_mistakes_are_named_by_their_id(data: Path) -> None:
    found = told(data, worst=4, bootstrap=0)
    shares, truth = shares_of(data)
    losses = -np.log(shares[np.arange(ROWS), truth])
    wrong = [row for row in np.argsort(-losses) if shares[row].argmax() != truth[row]][:4]
    assert [one["id"] for one in found["worst"]] == [f"img{row:03}" for row in wrong]
    assert [one["is"] for one in found["worst"]] == [NAMES[truth[row]] for row in wrong]
    np.testing.assert_allclose([one["loss"] for one in found["worst"]], losses[wrong])


def test_what_is_written_of_each_row_has_its_id(data: Path, tmp_path: Path) -> None:
    shares, truth = shares_of(data)
    model, wanted = model_of(lenet(3), SHAPE), Evaluation(data=str(data), bootstrap=0)

    def write(communicator: Any) -> None:
        found = evaluate(model, wanted, communicator).variables
        write_file(tmp_path / "said.h5", Contents("prediction", "said", found), communicator)

    on_ranks(3, write)
    with h5py.File(tmp_path / "said.h5") as file:
        said = file["prediction"]
        np.testing.assert_array_equal(said["probabilities"], shares)
        np.testing.assert_array_equal(said["truth"], truth)
        np.testing.assert_array_equal(said["labels"], shares.argmax(axis=1))
        assert said["id"][0] == b"img000"


def test_numbers_have_a_loss_and_no_classes(tmp_path: Path) -> None:
    path = images_file(tmp_path / "numbers.h5", 20, SHAPE, 5)
    model = model_of(lenet(1), SHAPE, "mse")
    found = evaluate(model, Evaluation(data=str(path), worst=2), SerialCommunicator()).told
    with h5py.File(path) as file:
        x, y = file["data/x"][()], file["data/y"][()]
    off = (predict(model.arrays, x.reshape(20, -1))["probabilities"][:, 0] - y) ** 2
    np.testing.assert_allclose(found["loss"], off.mean())
    assert [one["id"] for one in found["worst"]] == np.argsort(-off)[:2].tolist()
    assert "accuracy" not in found


@pytest.mark.parametrize(
    ("columns", "flags", "words"),
    [
        ({}, {"groups": "site"}, ["/data/site"]),
        ({"site": np.zeros(19, dtype=int)}, {"groups": "site"}, ["19 values", "20 images"]),
        ({"site": np.zeros(20)}, {"groups": "site"}, ["float64", "whole numbers or texts"]),
        ({"class_name": np.array([b"ant", b"bat", b"bee"])}, {}, ["bat", "one of ant, bee, cow"]),
    ],
    ids=["no such column", "column too short", "groups that are measures", "a class that the network does not know"],
)
def test_mistakes_are_named(tmp_path: Path, columns: dict[str, Any], flags: dict[str, Any], words: list[str]) -> None:
    path = images_file(tmp_path / "data.h5", 20, SHAPE, 3, **columns)
    with pytest.raises(UserError) as found:
        evaluate(model_of(lenet(3), SHAPE, names=NAMES), Evaluation(data=str(path), **flags), SerialCommunicator())
    for word in words:
        assert word in str(found.value), str(found.value)


def test_an_image_that_holds_nan_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        x = np.zeros((5, *SHAPE), dtype=np.float32)
        x[3, 2, 2] = np.nan
        file["data/x"], file["data/y"] = x, np.array([0, 1, 2, 0, 1])
    with pytest.raises(UserError, match="row 3"):
        evaluate(model_of(lenet(3), SHAPE), Evaluation(data=str(tmp_path / "nan.h5")), SerialCommunicator())
