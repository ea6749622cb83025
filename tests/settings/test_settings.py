"""One declaration is flags, TOML keys, help and JSON; flags win; paths are relative to where they stand."""

import argparse
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.settings import add_flags, build, differences, fields, setting, whole_number


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
