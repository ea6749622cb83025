"""Python itself, and the compiler of our kernels."""

import platform
import struct
import sys
import tempfile
from pathlib import Path

from hpcjobs.launch import child
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Finding, Machine, listed, pip, set_here

PLACE = 10
LEAST = (3, 11)
FOREIGN = ("PYTHONHOME", "PYTHONPATH")  # both put other packages before those of the environment
SLOW = ("NUMBA_DISABLE_JIT", "HPCJOBS_KERNELS")
LOAD_S = 60.0
PASSING = "hpcjobs-numba-"  # what is taken where no cache of the user's can be made
IMPORT = "import json, numba, numpy; print(json.dumps({'numba': numba.__version__, 'numpy': numpy.__version__}))"


def interpreter(machine: Machine) -> Finding:
    """Version, word length and environment."""
    place = f"environment {sys.prefix}" if sys.prefix != sys.base_prefix else f"no virtual environment, {sys.prefix}"
    return judge(sys.version_info[:3], 8 * struct.calcsize("P"), place, set_here(machine, FOREIGN))


def judge(version: tuple[int, ...], bits: int, place: str, foreign: dict[str, str]) -> Finding:
    """The verdict on a Python."""
    found = f"{'.'.join(map(str, version))}, {bits} bit, {platform.machine()}, {place}"
    if version[:2] < LEAST or bits != 64:
        return Finding(PROBLEM, f"{found}: expected 3.11 or newer, of 64 bit", "python3.12 -m venv ENV")
    if foreign:
        why = f"{found}; {listed(foreign)}: packages from there come before those of the environment"
        return Finding(WARNING, why, f"unset {' '.join(foreign)}")
    return Finding(OK, found)


def numba(machine: Machine) -> Finding:
    """Whether kernels are compiled, and kept for the next run."""
    slow = set_here(machine, SLOW)
    if slow.get("NUMBA_DISABLE_JIT") == "0":
        del slow["NUMBA_DISABLE_JIT"]
    answer = child.python(["-c", IMPORT], LOAD_S, machine.environment)
    versions = child.last_object(answer.out)
    if not versions:
        said = child.telling(answer.err) or answer.problem
        return Finding(PROBLEM, f"does not load: {said}", pip("install --upgrade numba numpy"))
    cache = Path(machine.environment.get("NUMBA_CACHE_DIR", ""))
    found = f"{versions['numba']} with NumPy {versions['numpy']}, compiled code in {cache}"
    if slow:
        why = f"{found}; {listed(slow)}: kernels are not compiled, and run many times slower"
        return Finding(WARNING, why, f"unset {' '.join(slow)}")
    if cache.name.startswith(PASSING) or not writable(cache):
        why = (
            f"{found}, which {'is new each time' if writable(cache) else 'cannot be written'}: every run compiles again"
        )
        return Finding(WARNING, why, "export NUMBA_CACHE_DIR=${TMPDIR:-/tmp}/numba-$USER")
    return Finding(OK, found)


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the nearest above it that is there."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


CHECKS = {"Python": interpreter, "Numba": numba}
