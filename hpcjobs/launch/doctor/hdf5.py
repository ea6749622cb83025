"""h5py, the HDF5 library under it, and whether both work where the runs lie."""

import json
import sys
from pathlib import Path

from hpcjobs.launch import child
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Finding, Machine, listed, pip, set_here
from hpcjobs.launch.doctor._folder import aside, show

PLACE = 30
LIMIT_S = 60.0
VERSIONS = """import json, h5py
version = h5py.version
print(json.dumps({"h5py": version.version, "built": version.hdf5_built_version_tuple,
                  "running": version.hdf5_version_tuple, "parallel": bool(h5py.get_config().mpi)}))"""
CHANGING = ("HDF5_DRIVER", "HDF5_DISABLE_VERSION_CHECK")
LOCKS = ("TRUE", "1", "BEST_EFFORT")
REINSTALL = "install --force-reinstall --no-deps h5py"
ROWS = 1000


def versions(machine: Machine) -> Finding:
    """h5py and HDF5; built against one and running with another may crash."""
    answer = child.python(["-c", VERSIONS], LIMIT_S, machine.environment)
    told = child.last_object(answer.out)
    if not told:
        return Finding(PROBLEM, f"h5py does not load: {child.telling(answer.err) or answer.problem}", pip(REINSTALL))
    return judge_versions(told["h5py"], tuple(told["built"]), tuple(told["running"]), told["parallel"])


def judge_versions(h5py: str, built: tuple[int, ...], running: tuple[int, ...], parallel: bool) -> Finding:
    """The verdict on h5py and its library."""
    found = f"h5py {h5py}, HDF5 {dotted(running)}{', built for MPI' if parallel else ''}"
    if built != running:
        verdict = WARNING if built[:2] == running[:2] else PROBLEM
        return Finding(verdict, f"{found}, but h5py was built against {dotted(built)}", pip(REINSTALL))
    return Finding(OK, found)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def settings(machine: Machine) -> Finding:
    """Variables that change what HDF5 does."""
    changing = set_here(machine, CHANGING)
    locking = set_here(machine, ("HDF5_USE_FILE_LOCKING",))
    plugins = set_here(machine, ("HDF5_PLUGIN_PATH",))
    if changing:
        why = f"{listed(changing)}: files may be opened by another driver, or by a library that does not fit"
        return Finding(WARNING, why, f"unset {' '.join(changing)}")
    if locking.get("HDF5_USE_FILE_LOCKING", "").upper() in LOCKS:
        why = f"{listed(locking)}: shared file systems refuse locks, and hpcjobs needs none"
        return Finding(WARNING, why, "unset HDF5_USE_FILE_LOCKING")
    if plugins:
        return Finding(OK, f"no locks; {listed(plugins)} is not heeded: filters from there are never loaded")
    return Finding(OK, "no locks, no plugins")


def file(machine: Machine) -> Finding:
    """Write a tiny result as runs do, and read it back."""
    with aside(machine.folder) as place:
        words = ["-m", "hpcjobs.launch.doctor.hdf5", str(place)]
        answer = child.python(words, LIMIT_S, machine.environment)
        told = child.last_object(answer.out)
    if told.get("same"):
        return Finding(OK, f"written, read back and verified in {machine.folder}")
    said = child.telling(answer.err) or answer.problem
    return Finding(PROBLEM, f"a tiny file does not come back from {machine.folder}: {said}", show(machine.folder))


def write_and_read(folder: Path) -> bool:
    """Whether a file of ours comes back as it was written."""
    import numpy as np

    from hpcjobs.data.inspect import verify_file
    from hpcjobs.data.schema import Contents, Variable
    from hpcjobs.data.writing import write_file

    numbers = Variable(("row",), np.arange(ROWS, dtype=np.float64), "row numbers")
    rows = Variable(("row",), np.arange(ROWS), "row")
    path = folder / "tiny.h5"
    digest = write_file(path, Contents("result", "a trial", {"/result/row": rows, "/result/numbers": numbers}))
    return bool(digest) and verify_file(path)["result_digest"] == digest


CHECKS = {"HDF5": versions, "HDF5 settings": settings, "HDF5 file": file}

if __name__ == "__main__":
    print(json.dumps({"same": write_and_read(Path(sys.argv[1]))}))
