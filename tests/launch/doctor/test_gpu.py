"""GPUs of a pretended driver, and a CuPy that works, does not load, or crashes."""

import os
from pathlib import Path

import pytest

from hpcjobs.launch.doctor import gpu
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Machine

TWO = """if [[ $1 == --query* ]]; then
  echo "NVIDIA A100-SXM4-80GB, 550.54.15, 81920 MiB"; echo "NVIDIA A100-SXM4-80GB, 550.54.15, 81920 MiB"
else echo "| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15    CUDA Version: 13.0 |"; fi
"""
MISMATCH = 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18\n'
CUPY = """class cuda:
    class runtime:
        runtimeGetVersion = staticmethod(lambda: 12040)
        getDeviceCount = staticmethod(lambda: 2)
class arange:
    def __init__(self, count): self.count = count
    def sum(self): return self.count * (self.count - 1) // 2
__version__ = "13.6.0"
"""


def machine(folder: Path, smi: str = "", cupy: str = "") -> Machine:
    """A machine with such an nvidia-smi and such a CuPy; without, where nothing is said."""
    (folder / "bin").mkdir()
    (folder / "bin" / "bash").symlink_to("/bin/bash")
    environment = os.environ | {"PATH": str(folder / "bin"), "PYTHONPATH": str(folder / "code")}
    if smi:
        (folder / "bin" / "nvidia-smi").write_text(f"#!/bin/bash\n{smi}")
        (folder / "bin" / "nvidia-smi").chmod(0o755)
    (folder / "code").mkdir()
    (folder / "code" / "cupy.py").write_text(cupy or "raise ModuleNotFoundError(\"No module named 'cupy'\")\n")
    return Machine(folder, environment=environment, root=folder)


def test_no_gpu_is_no_fault(tmp_path: Path) -> None:
    here = machine(tmp_path)
    assert gpu.driver(here).verdict == NOT_HERE
    assert gpu.cupy(here).verdict == NOT_HERE


def test_a_device_without_its_program_is_told_of(tmp_path: Path) -> None:
    here = machine(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert gpu.driver(here).verdict == WARNING


def test_gpus_and_cupy_that_work_are_counted(tmp_path: Path) -> None:
    here = machine(tmp_path, TWO, CUPY)
    assert gpu.driver(here).found == "2 x NVIDIA A100-SXM4-80GB, 81920 MiB each; driver 550.54.15"
    assert gpu.driver(here).verdict == OK
    assert gpu.cupy(here).found == "13.6.0, CUDA 12.4, 2 devices"
    assert gpu.cupy(here).verdict == OK


@pytest.mark.parametrize(
    ("smi", "said"), [(MISMATCH, "Driver/library version mismatch"), ("exit 9\n", "exit code 9"), ("exit 0\n", "")]
)
def test_a_driver_that_does_not_answer_is_a_problem(tmp_path: Path, smi: str, said: str) -> None:
    here = machine(tmp_path, smi)
    found = gpu.driver(here)
    assert found.verdict == PROBLEM
    assert said in found.found
    assert gpu.cupy(here).verdict == NOT_HERE


def test_a_missing_cupy_is_named_with_the_package_for_this_driver(tmp_path: Path) -> None:
    found = gpu.cupy(machine(tmp_path, TWO))
    assert found.verdict == NOT_HERE
    assert found.fix.endswith("pip install cupy-cuda13x")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcuda.so.1 is not there')\n", "libcuda.so.1 is not there"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "exit code -11"),
        (CUPY.replace("lambda: 2", "lambda: 0"), ""),
    ],
)
def test_a_cupy_that_fails_or_crashes_is_a_problem(tmp_path: Path, code: str, said: str) -> None:
    found = gpu.cupy(machine(tmp_path, TWO, code))
    assert found.verdict == PROBLEM
    assert said in found.found
    assert "--force-reinstall cupy-cuda13x" in found.fix
