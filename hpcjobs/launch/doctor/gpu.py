"""Graphics processors: the driver, and CuPy."""

import re
import shutil

from hpcjobs.launch import child
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine, pip

PLACE = 60
ASK_S = 20.0
LOAD_S = 60.0
QUERY = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
CUPY = """import json, cupy
runtime = cupy.cuda.runtime
print(json.dumps({"version": cupy.__version__, "cuda": runtime.runtimeGetVersion(), "devices": runtime.getDeviceCount(),
                  "sum": int(cupy.arange(10).sum())}))"""
TOTAL = 45


def driver(machine: Machine) -> Finding:
    """What nvidia-smi says."""
    program = shutil.which("nvidia-smi", path=machine.environment.get("PATH"))
    device = (machine.root / "dev" / "nvidiactl").exists()
    if program is None and not device:
        return Finding(NOT_HERE, "no NVIDIA GPU")
    if program is None:
        return Finding(WARNING, "/dev/nvidiactl is there, nvidia-smi is not on PATH", "export PATH=$PATH:/usr/bin")
    answer = child.run([program, *QUERY], ASK_S, machine.environment)
    rows = [line.strip() for line in answer.out.splitlines() if line.count(",") >= 2]
    if answer.code != 0 or not rows:
        said = answer.problem if answer.code is None else child.telling(answer.out + "\n" + answer.err)
        return Finding(PROBLEM, f"the driver does not answer: {said or answer.problem}", "nvidia-smi")
    name, version, memory = rows[0].rsplit(",", 2)
    same = len(set(rows)) == 1
    return Finding(OK, f"{len(rows)} x {name}{'' if same else ' and others'},{memory} each; driver{version}")


def cupy(machine: Machine) -> Finding:
    """Whether CuPy finds the devices; tried in a process of its own, and only where a driver answers."""
    if driver(machine).verdict != OK:
        return Finding(NOT_HERE, "no GPU that answers")
    answer = child.python(["-c", CUPY], LOAD_S, machine.environment)
    told = child.last_object(answer.out)
    if told and told["sum"] == TOTAL and told["devices"]:
        cuda = f"{told['cuda'] // 1000}.{told['cuda'] % 1000 // 10}"
        return Finding(OK, f"{told['version']}, CUDA {cuda}, {told['devices']} devices")
    said = child.telling(answer.err) or answer.problem
    install = pip(f"install cupy-cuda{cuda_of(machine)}x")
    if "No module named 'cupy'" in said:
        return Finding(NOT_HERE, "not installed: the GPU stays unused", install)
    return Finding(PROBLEM, f"does not use the GPU: {said}", install.replace("install", "install --force-reinstall", 1))


def cuda_of(machine: Machine) -> str:
    """The newest major version of CUDA that the driver takes."""
    program = shutil.which("nvidia-smi", path=machine.environment.get("PATH")) or "nvidia-smi"
    found = re.search(r"CUDA[A-Za-z ]*Version\s*:\s*(\d+)\.", child.run([program], ASK_S, machine.environment).out)
    return found[1] if found else "12"


CHECKS = {"GPU": driver, "CuPy": cupy}
