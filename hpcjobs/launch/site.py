"""What the site and the user have set once: site.toml, site.sh, and scripts of their own."""

import os
import pwd
import re
import shlex
import stat
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.errors import SettingsError, SlurmError, nearest
from hpcjobs.launch.resources import Resources, checked, merged
from hpcjobs.runs.process import home
from hpcjobs.settings import build, fields, read_toml

SYSTEM = Path("/etc/hpcjobs")
PACKAGED = Path(__file__).parents[1] / "scripts"
TOML = "site.toml"
SETUP = "site.sh"
SHAPES = ("cpu", "gpu", "container")
MPI = r"[a-z][a-z0-9_]*"
SHORT = {
    "A": "account", "C": "constraint", "N": "nodes", "c": "cpus_per_task", "d": "dependency", "n": "ntasks",
    "p": "partition", "q": "qos", "t": "time",
}  # fmt: skip
HEADER = re.compile(r"#SBATCH\s+(?:--([a-z-]+)(?:[=\s]\s*(\S+))?|-([A-Za-z])\s*(\S+)?)")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What `site.toml` sets; all of it may be left out."""

    mpi: str = ""  # what `srun --mpi=` wants, or "mpiexec"
    script: str = ""  # the script to send where no --script names one
    limits: bool = True  # whether a request is held against what sinfo tells, before it is sent
    resources: dict[str, Any] = {}  # used where neither flags nor a TOML file of the job say otherwise
    file: str = ""  # where this was read


def config_folders() -> list[Path]:
    """Where set-up may lie: the user's folder wins over the system's."""
    base, user = os.environ.get("XDG_CONFIG_HOME"), home()
    own = Path(base) if base else user / ".config" if user else None
    return [*([own / "hpcjobs"] if own else []), SYSTEM]


def read_site() -> Site:
    """The first site.toml there is; nothing set where there is none."""
    for folder in config_folders():
        if (folder / TOML).is_file():
            return parse(folder / TOML)
    return Site()


def parse(path: Path) -> Site:
    """One site.toml; SettingsError for what it must not hold."""
    keys = {key.replace("-", "_"): value for key, value in read_toml(path).items()}
    known = [name for name in Site.__struct_fields__ if name != "file"]
    for key in keys:
        if key in Resources.__struct_fields__:
            raise SettingsError(f"{path}: {key} belongs under the line [resources]")
        if key not in known:
            raise SettingsError(f"{path}: unknown key {key!r}; {nearest(key, known)}")
    keys["resources"] = read_table(path, "resources", keys.get("resources", {}), Resources)
    try:
        site = msgspec.convert(keys | {"file": str(path)}, type=Site)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace("$.", "")
        raise SettingsError(f"{path}: {reason[0].lower()}{reason[1:]}") from None
    if site.mpi and not re.fullmatch(MPI, site.mpi):
        raise SettingsError(f"{path}: mpi is {site.mpi!r}: expected what `srun --mpi=list` names, or mpiexec")
    if site.script and "/" in site.script:
        site = msgspec.structs.replace(site, script=str(path.parent / Path(site.script).expanduser()))
    return site


def read_table(file: Path, name: str, given: Any, *kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """A table of options of sbatch in a TOML file, each value in the type that its field of the `kinds` has."""
    if not isinstance(given, dict):
        raise SettingsError(f"{file}: {name} is {given!r}: expected a table, under the line [{name}]")
    declared = {option: field for kind in kinds for option, field in fields(kind).items()}
    texts: dict[str, Any] = {}
    for key, value in given.items():
        option = key.replace("-", "_")
        if option not in declared:
            raise SettingsError(f"{file}: [{name}]: unknown key {key!r}; {nearest(option, declared)}")
        if option in texts:
            raise SettingsError(f"{file}: [{name}]: {key!r} is there with - and with _; keep one of them")
        texts[option] = _as_option(value, declared[option][0])
    found: dict[str, Any] = {}
    try:
        for kind in kinds:
            own = {option: value for option, value in texts.items() if option in kind.__struct_fields__}
            built = build(kind, None, own)
            if isinstance(built, Resources):
                checked(built)
            found |= {option: value for option, value in msgspec.to_builtins(built).items() if option in own}
    except SettingsError as error:
        raise SettingsError(f"{file}: [{name}]: {error}") from None
    return found


def _as_option(value: Any, kind: Any) -> Any:
    """`mem = 4000` and `gpus_per_node = 4` are texts to sbatch, and `time = 01:00:00` is a time of day to TOML."""
    if isinstance(value, time):
        return value.isoformat()
    return str(value) if type(value) is int and kind == str | None else value


def find_script(name: str | None, device: str, project: Path) -> Path:
    """The script to send: the one named, else one for the device by the project, the user, the site or the package."""
    if name and ("/" in name or Path(name).is_file()):
        return _readable(Path(name).expanduser().absolute())
    stem = (name or (device if device in SHAPES else "cpu")).removesuffix(".sbatch")
    for folder in (project / "slurm", *config_folders(), PACKAGED):
        path = folder / f"{stem}.sbatch"
        if path.is_file():
            if folder == project / "slurm":
                _refuse_foreign(path.absolute())
            return _readable(path.absolute())
    known = sorted({path.stem for folder in (*config_folders(), PACKAGED) for path in folder.glob("*.sbatch")})
    raise SettingsError(f"--script {stem}: no such file, and no script of that name; {nearest(stem, known)}")


def header(script: str) -> dict[str, Any]:
    """Resources that the #SBATCH lines of a script ask for, so that limits are checked with them as well."""
    found: dict[str, Any] = {}
    for line in _header_lines(script):
        match = HEADER.match(line)
        if match is None:
            continue
        name = match[1].replace("-", "_") if match[1] else SHORT.get(match[3], "")
        value = match[2] or match[4]
        if name in Resources.__struct_fields__ and name != "sbatch_arg":
            found[name] = True if name == "exclusive" else (value or "").strip("\"'")
    kept = {}
    for name, value in found.items():
        try:
            kept[name] = getattr(checked(_built({name: value})), name)
        except SettingsError:
            continue  # a form that is Slurm's business, such as --nodes=2-4
    return kept


def with_header(resources: Resources, script: str) -> Resources:
    """What sbatch will be asked for in all: options win over the #SBATCH lines of the script."""
    given = {name: value for name, value in msgspec.to_builtins(resources).items() if value not in (None, False, ())}
    return _built(merged(header(script), given))


def _built(given: dict[str, Any]) -> Resources:
    built = build(Resources, None, given)
    assert isinstance(built, Resources)
    return built


def _header_lines(script: str) -> Iterator[str]:
    """The lines that sbatch reads: it stops at the first command."""
    for line in script.splitlines():
        if line.strip() and not line.startswith("#"):
            return
        yield line


def _readable(path: Path) -> Path:
    """The path of a script that sbatch will take."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--script {path}: cannot be read: {error.strerror}") from None
    if not content.startswith(b"#!"):
        raise SlurmError(f"{path}: sbatch takes scripts only; the first line must be #!/bin/bash")
    if b"\r\n" in content:
        raise SlurmError(f"{path}: has the line ends of Windows, which sbatch refuses; convert it: dos2unix {path}")
    return path


def _refuse_foreign(path: Path) -> None:
    """A script that nobody named must be ours: anybody may leave one in a shared folder."""
    for one in (path, path.parent):
        told = one.stat()
        if told.st_uid not in (os.geteuid(), 0):
            owner = _user(told.st_uid)
            raise SettingsError(
                f"{one} belongs to {owner}; if you trust it, name it: --script {shlex.quote(str(path))}"
            )
        if told.st_mode & stat.S_IWOTH:
            raise SettingsError(f"{one} can be written by everyone: chmod o-w {shlex.quote(str(one))}, or use --script")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
