"""One frozen declaration is the flags, the TOML keys, the help and the JSON kept with the run.

A job declares `class Settings(msgspec.Struct, frozen=True, kw_only=True)` whose fields are annotated with
`Annotated[type, setting("help", ge=1)]`; msgspec checks types and bounds. A field whose type is such a declaration
itself is a table in TOML, and KEY=VALUE,... as a flag.
"""

import argparse
import contextlib
import functools
import math
import operator
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.errors import SettingsError, nearest

T = typing.TypeVar("T", bound=msgspec.Struct)
Field = tuple[Any, msgspec.Meta, Any]  # type, description with bounds, default
OTHERS = "slurm"  # the table of a TOML file that says how to submit the job
CODE = re.compile(r"\.py(:\w+)?$")  # the end of ./file.py:Name
SPAN = re.compile(r"(\d{1,18}):(\d{1,18})(?::([1-9]\d{0,17}))?", re.ASCII)
WORDS = {"true": True, "false": False}  # in the text of a table
LARGEST_INT = 2**63 - 1  # what fits the int64 of a file


def setting(
    description: str,
    *,
    kind: str = "",
    words: tuple[str, ...] = (),
    extendable: bool = False,
    volatile: bool = False,
    span: tuple[int, int] | None = None,
    **bounds: Any,
) -> msgspec.Meta:
    """What a field is for and what it accepts.

    `kind="data"` marks the name of a data set (made absolute when it comes in, unless it is one of `words`), and
    `kind="table"` what has no flag, but stands in TOML or comes from Python, `kind="code"` what may be ./file.py:Name;
    `extendable` may grow when a run is resumed; `volatile` does not change the result, so it may differ freely;
    `span`: the bounds of a whole number in place of which FIRST:END or FIRST:END:STEP may name several, as a range.
    """
    extra = {"kind": kind, "words": words, "extendable": extendable, "volatile": volatile, "span": span}
    return msgspec.Meta(description=description, extra=extra, **bounds)


def flag(name: str) -> str:
    """The flag of a field: `max_iterations` is `--max-iterations`."""
    return "--" + name.replace("_", "-")


def fields(settings: type[msgspec.Struct]) -> dict[str, Field]:
    """Type, description and default (`msgspec.NODEFAULT` if required) of every field."""
    hints = typing.get_type_hints(settings, include_extras=True)
    found = {}
    for info in msgspec.structs.fields(settings):
        hint = hints[info.name]
        kind, *notes = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        meta = next((note for note in notes if isinstance(note, msgspec.Meta)), msgspec.Meta())
        found[info.name] = (kind, meta, info.default)
    return found


def add_flags(parser: argparse._ActionsContainer, declared: Mapping[str, Field]) -> None:
    """Declare flags for some `fields`. Values stay text here; `build` turns them into numbers."""
    for name, (kind, meta, default) in declared.items():
        if (meta.extra or {}).get("kind") == "table":
            continue
        usual = "required" if default is msgspec.NODEFAULT else f"default: {default}"
        text = meta.description or name
        help_text = (text if default is None or default is False else f"{text} ({usual})").replace("%", "%%")
        if bool in _alternatives(kind):
            parser.add_argument(
                flag(name), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help_text
            )
        elif kind == tuple[str, ...]:
            parser.add_argument(flag(name), action="append", default=argparse.SUPPRESS, metavar="X", help=text)
        elif _is_table(kind):
            parser.add_argument(flag(name), default=argparse.SUPPRESS, metavar="KEY=VALUE,...", help=text)
        else:
            metavar = "|".join(_choices(kind)) or name.partition("_per_")[0].rsplit("_", 1)[-1].upper()
            parser.add_argument(flag(name), default=argparse.SUPPRESS, metavar=metavar, help=help_text)


def build(settings: type[msgspec.Struct], toml: Path | None, flags: dict[str, Any]) -> msgspec.Struct:
    """Settings from a TOML file and flags; flags win. Data names become absolute: of TOML, relative to it."""
    declared = fields(settings)
    given: dict[str, tuple[Any, Path, str]] = {}  # value, the folder that a path starts from, where it was said
    if toml is not None:
        held = {key: value for key, value in read_toml(toml).items() if key != OTHERS or not isinstance(value, dict)}
        for name, (key, value) in _named(held, declared, f"{toml}:").items():
            given[name] = (value, toml.parent, f"{toml}: {key}")
    for name, value in flags.items():
        if name not in declared:  # from Python; the command line knows its flags
            raise SettingsError(f"unknown setting {name!r}; {nearest(name, declared)}")
        given[name] = (_number(value, declared[name][0]), Path.cwd(), flag(name))
    for name, (_, meta, default) in declared.items():
        if default is msgspec.NODEFAULT and name not in given:
            raise SettingsError(f"{flag(name)} is missing: {meta.description or name}")
    return settings(**{name: _checked(*found, declared[name]) for name, found in given.items()})


def table(settings: type[T], value: Any, base: Path, origin: str) -> T:
    """Settings that are one field of others: a table, or `KEY=VALUE,...` where a KEY alone says true."""
    written = isinstance(value, str)
    if written:
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        keys = [key.strip() for key, _, _ in pairs]
        if len(set(keys)) < len(keys):
            raise SettingsError(f"{origin} is {value!r}: names {max(keys, key=keys.count)} twice; keep one of them")
        value = {key.strip(): WORDS.get(text.strip(), text.strip()) if equals else True for key, equals, text in pairs}
    if not isinstance(value, dict):
        raise SettingsError(f"{origin} is {value!r}: expected a table, or KEY=VALUE,...")
    declared = fields(settings)
    found = {}
    for name, (key, one) in _named(value, declared, f"{origin}:").items():
        one = _number(one, declared[name][0]) if written else one
        found[name] = _checked(one, base, f"{origin}: {key}", declared[name])
    return settings(**found)


def written(value: Mapping[str, Any], usual: msgspec.Struct) -> str:
    """What a table says other than by default, as `KEY=VALUE,...`: what `table` reads."""
    default = msgspec.to_builtins(usual)
    return ",".join(
        f"{key}={str(item).lower() if isinstance(item, bool) else item}"
        for key, item in value.items()
        if item != default.get(key)
    )


def whole_number(text: str) -> int:
    """A flag's text as a whole number; `1e6` is one."""
    with contextlib.suppress(argparse.ArgumentTypeError):
        if real_number(text).is_integer():
            return int(Decimal(text))  # float would round what has over 15 digits
    raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}")


def real_number(text: str) -> float:
    """A flag's text as a number, as strictly as in a table: no `1_000`, no digits of other scripts."""
    if "_" not in text and text.isascii():
        try:
            return float(text)
        except ValueError:
            pass
    raise argparse.ArgumentTypeError(f"expected a number, found {text!r}")


def memory_size(text: str) -> int:
    """A flag's text as a number of bytes: `500MB`, `2GB`, `1.5GiB`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([kKMGT])(i?))?B?", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 500MB or 2GB, found {text!r}")
    number, unit, binary = found.groups()
    power = "kMGT".index(unit.replace("K", "k")) + 1 if unit else 0
    return int(Decimal(number) * (1024 if binary else 1000) ** power)


def memory_limit(memory: str | None) -> int | None:
    """What `--memory` says, in bytes; None for what is free."""
    if memory is None:
        return None
    try:
        found = memory_size(memory)
    except argparse.ArgumentTypeError as error:
        raise SettingsError(f"--memory: {error}") from None
    if found == 0:
        raise SettingsError("--memory is 0: a rank needs room for some rows")
    return found


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
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [key for key in before | after if before.get(key) != after.get(key)]
            found += [f"{flag(name)}: {key.replace('_', '-')}: {before.get(key)} -> {after.get(key)}" for key in keys]
            continue
        found.append(f"{flag(name)}: {before} -> {after}")
    return found


def _named(held: Mapping[str, Any], declared: Mapping[str, Field], where: str) -> dict[str, tuple[str, Any]]:
    """Key and value of each field that a table names; `-` and `_` are one."""
    found: dict[str, tuple[str, Any]] = {}
    for key, value in held.items():
        name = key.replace("-", "_")
        if name not in declared:
            raise SettingsError(f"{where} unknown key {key!r}; {nearest(name, declared)}")
        if name in found:
            raise SettingsError(f"{where} {found[name][0]!r} and {key!r} are one setting; keep one of them")
        found[name] = (key, value)
    return found


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _choices(kind: Any) -> tuple[str, ...]:
    """The texts that a `Literal` allows; none for any other type."""
    return typing.get_args(kind) if typing.get_origin(kind) == typing.Literal else ()


def _number(value: Any, kind: Any) -> Any:
    """A flag's text as the number its field wants; text that is none is left for the check to name."""
    wanted = _alternatives(kind)
    if not isinstance(value, str):
        return value
    for number, read in ((int, whole_number), (float, real_number)):
        if number in wanted:
            with contextlib.suppress(argparse.ArgumentTypeError):
                return read(value)
    return value


def _checked(value: Any, base: Path, origin: str, declared: Field) -> Any:
    """The value of one field, as its type and bounds want it; SettingsError says what is wrong with it."""
    kind, meta, _ = declared
    extra = meta.extra or {}
    if _is_table(kind):
        return table(kind, value, base, origin)
    if extra.get("span"):
        if isinstance(value, str) and SPAN.fullmatch(value):
            return value
        kind, meta = int, msgspec.Meta(ge=extra["span"][0], le=extra["span"][1])
    allowed = _choices(kind)
    if allowed and value not in allowed:
        raise SettingsError(f"{origin} is {value!r}: expected {' or '.join(allowed)}")
    if extra.get("kind") == "data" and isinstance(value, str) and value not in extra.get("words", ()):
        if not value:
            raise SettingsError(f"{origin} is empty: expected {meta.description}")
        if not value.isprintable():
            raise SettingsError(f"{origin} is {value!r}: not printable UTF-8; rename or link the file")
        try:
            value = str((base / Path(value).expanduser()).absolute())
        except RuntimeError:
            raise SettingsError(f"{origin} is {value!r}: there is no such user; write ./~ for a name with ~") from None
    if extra.get("kind") == "code" and isinstance(value, str) and CODE.search(value):
        value = str((base / value).absolute())
    if value is not None and type(None) in _alternatives(kind):  # bounds are of a number, not of None
        kind = functools.reduce(operator.or_, (one for one in _alternatives(kind) if one is not type(None)))
    try:
        checked = msgspec.convert(value, typing.Annotated[kind, meta])
    except msgspec.ValidationError as error:
        reason = str(error).split(" - at")[0].replace("`", "")
        if isinstance(value, str) and (int in _alternatives(kind) or float in _alternatives(kind)):
            reason = "expected a number" if float in _alternatives(kind) else "expected a whole number"
        raise SettingsError(f"{origin} is {value!r}: {reason[0].lower()}{reason[1:]}") from None
    if isinstance(checked, float) and not math.isfinite(checked):
        raise SettingsError(f"{origin} is {value!r}: expected a finite number")
    if isinstance(checked, int) and not -LARGEST_INT <= checked <= LARGEST_INT:
        bound = f"<= {LARGEST_INT}" if checked > 0 else f">= {-LARGEST_INT}"
        raise SettingsError(f"{origin} is {value!r}: expected int {bound}")
    return checked


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that a value may have."""
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
