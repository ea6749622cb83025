"""One declaration is flags, TOML keys, help and JSON; flags win; paths are relative to where they stand."""

import argparse
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.settings import add_flags, build, differences, fields, setting, whole_number, written


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    data: Annotated[str, setting("rows", kind="data")]
    steps: Annotated[int, setting("how many", ge=1, extendable=True)] = 3
    rate: Annotated[float, setting("how fast: 100 % is 1", gt=0)] = 0.5
    max_rate: Annotated[float, setting("how fast at most")] = 1.0
    begin: Annotated[str, setting("where to begin", kind="data", words=("anywhere",))] = "anywhere"
    often: Annotated[int, setting("how often to save", volatile=True)] = 0
    mode: Annotated[Literal["fast", "exact"], setting("which way")] = "fast"
    loud: Annotated[bool, setting("say more")] = False
    weights: Annotated[str | None, setting("weights", kind="data")] = None


def parse(*argv: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_flags(parser, fields(Settings))
    return vars(parser.parse_args(argv))


def test_flags_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    built = build(Settings, None, parse("--data", "d.h5:/x", "--steps", "1e3", "--rate", "2", "--loud"))
    assert built == Settings(data=f"{tmp_path}/d.h5:/x", steps=1000, rate=2.0, loud=True)


def test_flags_win_over_toml_and_paths_are_relative_to_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    toml = tmp_path / "sub" / "job.toml"
    toml.write_text('data = "d.h5"\nweights = "/w.h5:/w"\nsteps = 5\nrate = 1\n')
    monkeypatch.chdir(tmp_path)
    built = build(Settings, toml, parse("--steps", "7"))
    assert built == Settings(data=f"{tmp_path}/sub/d.h5", weights="/w.h5:/w", steps=7, rate=1.0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--data is missing"),
        (("--data", "d.h5", "--steps", "0"), "--steps is 0: expected int >= 1"),
        (("--data", "d.h5", "--steps", "2.5"), "--steps is '2.5': expected a whole number"),
        (("--data", "d.h5", "--steps", ""), "--steps is '': expected a whole number"),
        (("--data", "d.h5", "--steps", "1_000"), "--steps is '1_000': expected a whole number"),
        (("--data", "d.h5", "--steps", str(2**63)), f"expected int <= {2**63 - 1}"),
        (("--data", "d.h5", "--often", f"-{2**64}"), f"expected int >= -{2**63 - 1}"),
        (("--data", "d.h5", "--rate", "fast"), "--rate is 'fast': expected a number"),
        (("--data", "d.h5", "--rate", "1_0.5"), "--rate is '1_0.5': expected a number"),
        (("--data", "d.h5", "--rate", "inf"), "--rate is inf: expected a finite number"),
        (("--data", ""), "--data is empty: expected rows"),
        (("--data", "d.h5", "--mode", "slow"), "--mode is 'slow': expected fast or exact"),
    ],
)
def test_wrong_values_are_named_with_what_was_expected(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build(Settings, None, parse(*flags))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steps = 1\n[mode]\n", "job.toml: mode"),
        ("rate = inf\n", "job.toml: rate is inf: expected a finite number"),
        ("max-rate = 1\nmax_rate = 1\n", "job.toml: 'max-rate' and 'max_rate' are one setting"),
        ('weights = ""\n', "job.toml: weights is empty"),
    ],
)
def test_wrong_toml_values_are_named_with_their_file(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "job.toml").write_text(content)
    with pytest.raises(SettingsError, match=message):
        build(Settings, tmp_path / "job.toml", {"data": "d.h5"})


def test_names_of_data_become_absolute_but_for_the_words_of_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = build(Settings, None, parse("--data", "plain", "--begin", "anywhere", "--weights", "anywhere"))
    assert built == Settings(data=f"{tmp_path}/plain", begin="anywhere", weights=f"{tmp_path}/anywhere")


def test_whole_numbers_are_read_exactly() -> None:
    assert [whole_number(text) for text in ("7", "-3", "1e6", "2.0", str(2**63 - 1))] == [7, -3, 10**6, 2, 2**63 - 1]


def test_a_field_needs_no_description() -> None:
    class Plain(msgspec.Struct, frozen=True, kw_only=True):
        steps: int
        size: Annotated[int, "a note of somebody else"] = 2

    assert build(Plain, None, {"steps": "3"}) == Plain(steps=3, size=2)
    with pytest.raises(SettingsError, match="--steps is missing: steps"):
        build(Plain, None, {})


def test_differences_name_what_changed_and_let_grow_what_may() -> None:
    old = msgspec.to_builtins(Settings(data="d"))
    assert differences(old, old | {"steps": 4, "often": 9}, Settings) == []
    assert differences(old, old | {"steps": 2}, Settings) == ["--steps: 3 -> 2"]
    assert differences(old, old | {"rate": 1.0, "weights": "w"}, Settings) == [
        "--rate: 0.5 -> 1.0",
        "--weights: None -> w",
    ]


def test_the_help_of_every_flag_is_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    for name, (_, meta, default) in fields(Settings).items():
        assert str(meta.description) in text
        if default is not msgspec.NODEFAULT and default not in (None, False):
            assert f"(default: {default})" in text, name


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """Settings within settings."""

    turn: Annotated[float, setting("degrees", ge=0, le=180)] = 0.0
    zoom_range: Annotated[float | str, setting("share, or LOW:HIGH")] = 0.0
    flip: Annotated[bool, setting("mirror")] = False
    crop: Annotated[str | None, setting("HxW")] = None


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with a table."""

    epochs: Annotated[int, setting("epochs", ge=1)] = 1
    inner: Annotated[Inner, setting("what is done to images")] = Inner()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Inner()),
        ("turn=40,zoom-range=0.8:1.2,flip", Inner(turn=40.0, zoom_range="0.8:1.2", flip=True)),
        (" turn = 1e1 , flip=false,zoom_range=0.5", Inner(turn=10.0, zoom_range=0.5)),
        ("crop=8x8", Inner(crop="8x8")),
    ],
)
def test_a_table_is_one_flag(text: str, expected: Inner) -> None:
    built = build(Outer, None, {"inner": text})
    assert built == Outer(inner=expected)
    assert build(Outer, None, msgspec.to_builtins(built)) == built
    assert msgspec.convert(msgspec.to_builtins(built), Outer) == built
    again = written(msgspec.to_builtins(expected), Inner())
    assert build(Outer, None, {"inner": again}) == built


def test_a_table_of_toml_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text('epochs = 3\n[inner]\nturn = 40\nzoom-range = "0.8:1.2"\nflip = true\n[slurm]\ntime = 3\n')
    assert build(Outer, path, {}) == Outer(epochs=3, inner=Inner(turn=40.0, zoom_range="0.8:1.2", flip=True))
    assert build(Outer, path, {"inner": "flip"}) == Outer(epochs=3, inner=Inner(flip=True))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("turns=4", "--inner: unknown key 'turns'; did you mean 'turn'?"),
        ("turn=400", "--inner: turn is 400"),
        ("turn=much", "--inner: turn is 'much': expected a number"),
        ("turn", "--inner: turn is True: expected"),
        ("flip=maybe", "--inner: flip is 'maybe': expected"),
        ("turn=1,turn=2", "--inner is 'turn=1,turn=2': names turn twice; keep one of them"),
        ("zoom-range=1,zoom_range=1", "'zoom-range' and 'zoom_range' are one setting; keep one of them"),
        ({"turn": "4"}, "--inner: turn is '4': expected a number"),
        (4, "--inner is 4: expected a table, or KEY=VALUE,..."),
    ],
)
def test_what_does_not_fit_a_table_is_named(value: object, told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        build(Outer, None, {"inner": value})


def test_the_help_tells_how_a_table_is_written() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, fields(Outer))
    assert "--inner KEY=VALUE,..." in parser.format_help()
    assert parser.parse_args(["--inner", "flip"]).inner == "flip"


def test_tables_differ_by_their_keys() -> None:
    old, new = (msgspec.to_builtins(Outer(inner=Inner(turn=turn, zoom_range=turn / 10))) for turn in (1.0, 2.0))
    assert differences(old, new, Outer) == ["--inner: turn: 1.0 -> 2.0", "--inner: zoom-range: 0.1 -> 0.2"]
    assert differences(old, old, Outer) == []
