"""What a result, checkpoint or live file tells of its run, as plain data."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np

from hpcjobs.data import safety
from hpcjobs.data.blocks import BlockFile, root_of
from hpcjobs.errors import DataError, RunFolderError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.lease import holding, owner, told
from hpcjobs.settings import differences

KINDS = ("result", "checkpoint", "live")
# Data sets below /result up to this size are told whole; larger ones by their shape.
SMALL_BYTES = 2**20
LARGEST_BYTES = 2**28  # of a column of the history or of the provenance


def tell(path: Path) -> dict[str, Any]:
    """Job, settings, attempts, digest, history and small results of a file. DataError when it is none of a run."""
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file, safety.parsing(path):
        facts = {name: plain(value) for name, value in file.attrs.items()}
        if facts.get("kind") not in KINDS or "provenance" not in file:
            raise DataError(f"{path}: not the file of a run; `hpcjobs data inspect {path}` tells what it holds")
        below = functools.partial(_below, file, path, size=raw.size)
        return {
            "file": str(path),
            "size": raw.size,
            "kind": facts["kind"],
            "job": facts["job"],
            "title": facts["title"],
            "created": facts["created"],
            "run_uuid": facts["run_uuid"],
            "complete": bool(facts["complete"]),
            "digest": facts.get("result_digest", ""),
            "file_digest": raw.record.root if raw.record else "",
            "settings": dict(json.loads(plain(below("provenance")["settings"][()]))),
            "attempts": _table(below("provenance/attempts")),
            "inputs": _table(below("provenance/inputs")),
            "ranks": _table(below("provenance/ranks")),
            "software": {row["package"]: row["version"] for row in _table(below("provenance/software"))},
            "history": {name: item[()].tolist() for name, item in below("history").items() if _column(item)},
            "result": {name: _result(item) for name, item in below("result").items()},
        }


def tell_run(folder: RunFolder) -> dict[str, Any]:
    """The story of a run folder: its result, else its newest whole checkpoint or live file, and how it ended."""
    wish, outcome, lease = folder.read_settings(), folder.read_outcome(), holding(folder)
    files = [path for path in (folder.live, *folder.checkpoints.glob("step-*.h5")) if path.is_file()]
    newest = sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = {"kind": "run", "digest": "", "history": {}, "result": {}, "inputs": [], "size": 0}
    for path in [folder.result] if folder.result.exists() else newest:
        try:
            found = tell(path)
            break
        except DataError:
            if path == folder.result:
                raise
    ended = outcome.get("attempts", [])
    state, attempts = outcome.get("state", "not started"), told(lease, ended, folder)
    if found["kind"] == "result":
        state = "done"
    elif len(attempts) > len(ended):  # the last one has not told how it ended
        runs_it = owner(folder)
        state = f"running as process {runs_it['pid']} on {runs_it['host']}" if runs_it else "killed"
        attempts[-1]["reason"] = "running" if runs_it else "killed"
    reason = outcome.get("reason", "") if state in ("stopped", "failed") else ""
    facts = {"run": str(folder.path), "job": wish["job"], "settings": wish["settings"]}
    return found | facts | {"state": state, "reason": reason, "attempts": attempts}


def arrays(path: Path) -> dict[str, Any]:
    """Everything below `/result` of a file, whole, by name."""
    with BlockFile(path) as raw, safety.open_hdf5(raw, path) as file:
        return {name: item[()] for name, item in file["result"].items() if isinstance(item, h5py.Dataset)}


def finished(folder: RunFolder, settings: type[msgspec.Struct]) -> bool:
    """Whether the result of the settings in force is there; RunFolderError when its data have changed since."""
    if not folder.result.exists():
        return False
    try:
        story = tell(folder.result)
    except DataError as error:
        raise DataError(f"{error}; or remove it and resume: it is made again from the checkpoint") from None
    before, now = story["settings"], folder.read_settings()["settings"]
    if differences(before, now, settings) or differences(now, before, settings):
        return False
    return not any(_changed(entry, folder) for entry in story["inputs"])


def _changed(entry: dict[str, Any], folder: RunFolder) -> bool:
    """Whether a foreign file was written to since, so that it must be read again; ours are known by their digest."""
    path = Path(entry["name"].rpartition(":/")[0])
    if not path.exists():
        return False
    if entry["digest"].startswith("rows:"):
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) != (entry["size"], entry["modified"])
    if root_of(path) != entry["digest"]:
        raise RunFolderError(
            f"{folder.path}: its result was made from other data: {path} has changed since; "
            "bring the old data back, or start a new run"
        )
    return False


def plain(value: Any) -> Any:
    """An HDF5 scalar as text or number."""
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    return value.item() if isinstance(value, np.generic) else value


def _below(file: h5py.File, path: Path, group: str, size: int) -> dict[str, h5py.Dataset]:
    """The data sets that lie in a group itself, in the order in which they were made; links and bombs are refused."""
    parent, _, own = group.rpartition("/")
    if own not in safety.get(file, path, parent):
        return {}
    found = {}
    for name in safety.get(file, path, group):
        item = safety.get(file, path, f"{group}/{name}")
        if not isinstance(item, h5py.Dataset):
            continue
        safety.check_dataset(item, path, f"/{group}/{name}", size)
        if group != "result" and item.nbytes > LARGEST_BYTES:
            raise DataError(f"{path}:/{group}/{name}: has {item.nbytes} bytes, which no run writes there")
        found[name] = item
    return found


def _column(item: h5py.Dataset) -> bool:
    return item.ndim == 1 and item.dtype.kind in "fiu"


def _table(items: Mapping[str, h5py.Dataset]) -> list[dict[str, Any]]:
    """Columns as rows; the index of the rows is left out."""
    columns = {name: item[()] for name, item in items.items() if not _index(name, item)}
    return [
        {name: plain(value) for name, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


def _index(name: str, item: h5py.Dataset) -> bool:
    return bool(item.is_scale) and plain(item.attrs["long_name"]) == f"index of {name}"


def _result(item: h5py.Dataset) -> Any:
    if item.nbytes > SMALL_BYTES or item.ndim > 1:
        return {"shape": list(item.shape), "type": str(item.dtype)}
    values = item[()]
    return [plain(value) for value in values] if item.ndim else plain(values)
