"""From what the user says to a run folder: settings checked against the data, a new folder, or one that goes on."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs import settings
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.runs import code, making
from hpcjobs.runs.folder import RunFolder, settings_of
from hpcjobs.runs.index import remember
from hpcjobs.runs.lease import owner


@dataclass(frozen=True)
class Place:
    """Where a run shall lie and what it is called."""

    out: Path | None = None
    name: str = ""
    tags: tuple[str, ...] = ()
    share: str = ""

    def __post_init__(self) -> None:
        text = str(Path.cwd() / (self.out or ""))
        if not text.isprintable() or "\\" in text:  # Slurm's names of log files take no backslash
            raise SettingsError(f"--out {text!r}: expected printable characters and no backslash in a run's path")
        if self.name:
            making.label(self.name, "--name")
        for tag in self.tags:
            making.label(tag, "--tag")


def wanted(job: Any, toml: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run as plain values, every mistake found that can be found without reading the data."""
    built = settings.build(job.Settings, toml, flags)
    if hasattr(job, "check"):
        job.check(built)
    values: dict[str, Any] = msgspec.to_builtins(built)
    return values


def prepare(name: str, job: Any, values: dict[str, Any], place: Place, *, keep_code: bool = False) -> RunFolder:
    """Make the run folder, or find that the one named can be continued.

    With `keep_code` the user's own code is copied into it, and a later start runs that copy.
    """
    out = place.out
    if out is None or not os.path.lexists(out) or making.is_blank(out):
        own = code.all_sources(name, values) if keep_code else {}
        folder = making.create(out, name, values, name=place.name, tags=place.tags, share=place.share)
        _keep(folder, own)
        return folder
    folder = RunFolder(making.resolved(out))
    if not folder.settings.exists():
        raise RunFolderError(f"{out}: exists and is not a run folder; name a new one with --out")
    wish = folder.read_settings()
    if wish["job"] != name:
        raise RunFolderError(f"{out}: is the run of a {wish['job']} job; name a new folder for this {name} job")
    old = msgspec.to_builtins(settings_of(folder, job.Settings))
    found = settings.differences(old, values, job.Settings)
    if found:
        raise SettingsError(
            f"{out}: was begun with other settings ({'; '.join(found)}); "
            "continue it with the old ones, or name a new folder with --out"
        )
    if keep_code:
        keep_own_code(folder)
    enter(folder, values)
    remember(folder.path)
    return folder


def keep_own_code(folder: RunFolder) -> None:
    """Copy the user's own code into a run that has no copy yet, such as one that `hpcjobs run` made."""
    wish = folder.read_settings()
    if not wish["code"]:
        _keep(folder, code.all_sources(wish["job"], wish["settings"]))


def _keep(folder: RunFolder, own: code.Sources) -> None:
    """The copy first, then the word that it is there, lest a start that is killed between them leaves none."""
    code.keep(own, folder.code)
    making.update(folder, code=code.digest(own))


def grown(folder: RunFolder, job: Any, flags: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run with those of `flags` that may grow."""
    old: dict[str, Any] = msgspec.to_builtins(settings_of(folder, job.Settings))
    new: dict[str, Any] = msgspec.to_builtins(settings.build(job.Settings, None, old | flags)) if flags else old
    found = settings.differences(old, new, job.Settings)
    if found:
        raise SettingsError(f"{folder.path}: a run can grow, not change: {'; '.join(found)}")
    return new


def extend(folder: RunFolder, job: Any, flags: dict[str, Any]) -> None:
    """Put settings in force that may grow."""
    if flags:
        enter(folder, grown(folder, job, flags))


def extendable(job: Any) -> dict[str, settings.Field]:
    """The settings of a job that may be given anew when a run is resumed."""
    return {
        key: value
        for key, value in settings.fields(job.Settings).items()
        if (value[1].extra or {}).get("extendable") or (value[1].extra or {}).get("volatile")
    }


def enter(folder: RunFolder, values: dict[str, Any]) -> None:
    """Put settings in force that may differ, unless somebody runs with the old ones at this moment."""
    busy = owner(folder) if values != folder.read_settings()["settings"] else None
    if busy:
        raise RunFolderError(
            f"{folder.path}: in use by process {busy['pid']} on {busy['host']}; change its settings when it has stopped"
        )
    making.update(folder, settings=values)
