"""One frozen declaration is the flags, the TOML keys, the help and the JSON kept with the run.

A job declares `class Settings(msgspec.Struct, frozen=True, kw_only=True)` whose fields are annotated with
`Annotated[type, setting("help", ge=1)]`; msgspec checks types and bounds.
"""

import argparse
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.errors import SettingsError, nearest

Field = tuple[Any, msgspec.Meta, Any]  # type, description with bounds, default


def setting(
    description: str, *, kind: str = "", extendable: bool = False, volatile: bool = False, **bounds: Any
) -> msgspec.Meta:
    """What a field is for and what it accepts.

    `kind="data"` marks the name of a data set (made absolute when it comes in); `extendable` may grow when a run is
    resumed; `volatile` does not change the result, so it may differ freely.
    """
    extra = {"kind": kind, "extendable": extendable, "volatile": volatile}
    return msgspec.Meta(description=description, extra=extra, **bounds)


def flag(name: str) -> str:
    """The flag of a field: `max_iterations` is `--max-iterations`."""
    return "--" + name.replace("_", "-")


def fields(settings: type[msgspec.Struct]) -> dict[str, Field]:
    """Type, description and default (`msgspec.NODEFAULT` if required) of every field."""
    hints = typing.get_type_hints(settings, include_extras=True)
    found = {}
    for info in msgspec.structs.fields(settings):
        kind, meta = typing.get_args(hints[info.name])[:2]
        found[info.name] = (kind, meta, info.default)
    return found


def add_flags(parser: argparse._ActionsContainer, declared: Mapping[str, Field]) -> None:
    """Declare flags for some `fields`. Values stay text here; `build` turns them into numbers."""
    for name, (kind, meta, default) in declared.items():
        usual = "required" if default is msgspec.NODEFAULT else f"default: {default}"
        text = meta.description or ""
        help_text = (text if default is None or default is False else f"{text} ({usual})").replace("%", "%%")
        if kind is bool:
            parser.add_argument(
                flag(name), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help_text
            )
        else:
            metavar = "|".join(_choices(kind)) or name.rsplit("_", 1)[-1].upper()
            parser.add_argument(flag(name), default=argparse.SUPPRESS, metavar=metavar, help=help_text)


def build(settings: type[msgspec.Struct], toml: Path | None, flags: dict[str, Any]) -> msgspec.Struct:
    """Settings from a TOML file and flags; flags win. Data names become absolute: of TOML, relative to it."""
    declared = fields(settings)
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if toml is not None:
        for key, value in read_toml(toml).items():
            name = key.replace("-", "_")
            if name not in declared:
                raise SettingsError(f"{toml}: unknown key {key!r}; {nearest(name, declared)}")
            values[name] = _absolute(value, declared[name], toml.parent)
            origin[name] = f"{toml}: {key}"
    for name, value in flags.items():
        values[name] = _absolute(_number(value, declared[name][0]), declared[name], Path.cwd())
        origin[name] = flag(name)
    for name, (_, _, default) in declared.items():
        if default is msgspec.NODEFAULT and name not in values:
            raise SettingsError(f"{flag(name)} is missing: {declared[name][1].description}")
    checked = {}
    for name, value in values.items():
        kind, meta, _ = declared[name]
        allowed = _choices(kind)
        if allowed and value not in allowed:
            raise SettingsError(f"{origin[name]} is {value!r}: expected {' or '.join(allowed)}")
        try:
            checked[name] = msgspec.convert(value, typing.Annotated[kind, meta])
        except msgspec.ValidationError as error:
            reason = str(error).split(" - at")[0].replace("`", "")
            raise SettingsError(f"{origin[name]} is {value!r}: {reason[0].lower()}{reason[1:]}") from None
    return settings(**checked)


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file (looked in {path.parent.resolve()})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def differences(old: dict[str, Any], new: dict[str, Any], settings: type[msgspec.Struct]) -> list[str]:
    """The settings that differ between a run and a wish to continue it, each as `--flag: old -> new`."""
    found = []
    for name, (_, meta, _) in fields(settings).items():
        extra = meta.extra or {}
        before, after = old.get(name), new.get(name)
        if before == after or extra.get("volatile"):
            continue
        if extra.get("extendable") and before is not None and after is not None and after > before:
            continue
        found.append(f"{flag(name)}: {before} -> {after}")
    return found


def _choices(kind: Any) -> tuple[str, ...]:
    """The texts that a `Literal` allows; none for any other type."""
    return typing.get_args(kind) if typing.get_origin(kind) == typing.Literal else ()


def _number(value: Any, kind: Any) -> Any:
    """A flag's text as the number its field wants; text that is none is left for the check to name."""
    wanted = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if not isinstance(value, str) or str in wanted:
        return value
    for number in (int, float):
        if number in wanted:
            try:
                if number is int and float(value).is_integer():
                    return int(float(value)) if "e" in value.lower() else int(value)
                return number(value)
            except ValueError:
                continue
    return value


def _absolute(value: Any, declared: Field, base: Path) -> Any:
    extra = declared[1].extra or {}
    if extra.get("kind") == "data" and isinstance(value, str) and (":/" in value or "/" in value or "." in value):
        return str((base / Path(value).expanduser()).absolute()) if value else value
    return value
