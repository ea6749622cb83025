"""`hpcjobs evaluate`: the flags are those of the job, what it finds is told as lines, and mistakes as one message."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from hpcjobs.cli import evaluate
from hpcjobs.errors import SettingsError
from hpcjobs.settings import setting


class Games(msgspec.Struct, frozen=True, kw_only=True):
    """Of a job that needs no data."""

    episodes: Annotated[int, setting("how many to play", ge=1)] = 100


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    data: Annotated[str, setting("rows", kind="data")]


def test_a_job_without_data_has_its_own_flags_alone() -> None:
    given = vars(evaluate.parser(Games).parse(["run", "--episodes", "7", "-o", "played.h5"]))
    assert given["episodes"] == "7"
    assert given["out"] == Path("played.h5")
    with pytest.raises(SettingsError, match="unknown argument rows.h5"):
        evaluate.parser(Games).parse(["run", "rows.h5"])


def test_data_that_a_job_needs_are_asked_for() -> None:
    assert evaluate.parser(Rows).parse(["run", "rows.h5"]).data == "rows.h5"
    with pytest.raises(SettingsError, match="DATA"):
        evaluate.parser(Rows).parse(["run"])


def test_a_job_that_cannot_be_evaluated_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcjobs.runs.model.read_model", lambda _: type("Found", (), {"job": "sorting"}))
    with pytest.raises(SettingsError, match="sorting, which has nothing to evaluate"):
        evaluate.declaration(object(), Path("result.h5"))


def test_numbers_tables_and_matrices_become_lines() -> None:
    told: dict[str, Any] = {
        "rows": 3,
        "mean_loss": 0.25,
        "unknown": float("nan"),
        "gap": {"accuracy": 0.5, "roc_auc": float("nan")},
        "classes": [{"class": "cat", "f1": 0.5}, {"class": "dog\x1b[2J", "f1": 1.0}],
        "confusion": [[10, 2], [3, 4]],
        "worst": [],
    }
    assert list(evaluate.lines(told)) == [
        "rows       3", "mean loss  0.25", "unknown    ", "", "gap:", "accuracy", "0.5", "", "classes:", "class   f1",
        "cat     0.5", "dog[2J  1", "", "confusion:", "10  2", "3   4",
    ]  # fmt: skip
