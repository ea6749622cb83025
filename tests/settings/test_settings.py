"""One declaration is flags, TOML keys, help and JSON; flags win; paths are relative to where they stand."""

import argparse
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.settings import add_flags, build, differences, fields, setting


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    data: Annotated[str, setting("rows", kind="data")]
    steps: Annotated[int, setting("how many", ge=1, extendable=True)] = 3
    rate: Annotated[float, setting("how fast: 100 % is 1", gt=0)] = 0.5
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
        (("--data", "d.h5", "--steps", "2.5"), "--steps is '2.5'"),
        (("--data", "d.h5", "--rate", "fast"), "--rate is 'fast'"),
        (("--data", "d.h5", "--mode", "slow"), "--mode is 'slow': expected fast or exact"),
    ],
)
def test_wrong_values_are_named_with_what_was_expected(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        build(Settings, None, parse(*flags))


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
