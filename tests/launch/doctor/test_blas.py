"""Kernels older than the CPU, whoever forced them, and more threads than cores."""

import os
from pathlib import Path

import pytest

from hpcjobs.launch.doctor import blas
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Machine

X86 = "processor\t: 0\nflags\t\t: fpu sse2 {}\n"
ARM = "processor\t: 0\nFeatures\t: fp {}\n"
AVX512 = "avx avx2 fma avx512f avx512bw avx512dq avx512vl"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (X86.format(AVX512), "AVX-512"),
        (X86.format("avx avx2 fma avx512f avx512cd"), "AVX2"),  # Knights Landing: OpenBLAS runs Haswell's kernels
        (X86.format("avx avx2 fma"), "AVX2"),
        (X86.format("avx"), "AVX"),
        (X86.format(""), "SSE"),
        (ARM.format("asimd sve"), "SVE"),
        (ARM.format("asimd"), "NEON"),
        ("isa : rv64gc\n", ""),
        ("", ""),
    ],
)
def test_the_best_units_of_a_cpu_are_found(cpuinfo: str, expected: str) -> None:
    assert blas.best(cpuinfo) == expected


def pool(architecture: str | None, api: str = "openblas", threads: int = 1) -> dict[str, object]:
    return {"internal_api": api, "version": "0.3.30", "architecture": architecture, "num_threads": threads}


@pytest.mark.parametrize(
    ("architectures", "cpu", "forced", "verdict", "fix"),
    [
        (["SkylakeX", "SkylakeX"], "AVX-512", {}, OK, ""),
        (["Zen"], "AVX2", {}, OK, ""),
        (["Haswell"], "AVX-512", {}, WARNING, "numpy scipy"),
        (["SkylakeX", "Haswell"], "AVX-512", {}, WARNING, "numpy scipy"),
        (["Haswell"], "AVX-512", {"OPENBLAS_CORETYPE": "Haswell"}, WARNING, "unset OPENBLAS_CORETYPE"),
        (["SkylakeX"], "AVX-512", {"OPENBLAS_L2_SIZE": "64"}, WARNING, "unset OPENBLAS_L2_SIZE"),
        (["Prescott"], "AVX2", {}, WARNING, "numpy scipy"),
        (["neoversev1"], "SVE", {}, OK, ""),
        (["armv8"], "SVE", {}, WARNING, "numpy scipy"),
        (["what comes next"], "AVX-512", {}, OK, ""),
        ([None], "AVX-512", {}, OK, ""),  # MKL does not tell
        (["Haswell"], "", {}, OK, ""),
        ([], "AVX2", {}, WARNING, "numpy scipy"),
    ],
)
def test_the_verdict_on_kernels(
    architectures: list[str | None], cpu: str, forced: dict[str, str], verdict: str, fix: str
) -> None:
    found = blas.judge_kernel([pool(one) for one in architectures], cpu, forced)
    assert found.verdict == verdict
    assert fix in found.fix
    assert bool(found.fix) == bool(fix)
    assert all(f"forced by {name}={value}" in found.found for name, value in forced.items())


def test_every_level_of_kernels_is_one_of_a_cpu() -> None:
    assert set(blas.KERNELS) == set(blas.NEEDED)


def test_a_kernel_that_is_forced_here_is_named(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(X86.format(AVX512))
    environment = os.environ | {"OPENBLAS_CORETYPE": "Prescott"}
    found = blas.kernel(Machine(tmp_path, environment=environment, root=tmp_path))
    assert found.verdict == WARNING
    assert "forced by OPENBLAS_CORETYPE=Prescott" in found.found
    assert found.fix.startswith("unset OPENBLAS_CORETYPE")


def test_libraries_that_do_not_load_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise ImportError('libgfortran.so.5 is not there')\n")
    machine = Machine(tmp_path, environment=os.environ | {"PYTHONPATH": str(tmp_path)})
    found = blas.kernel(machine)
    assert found.verdict == PROBLEM
    assert "libgfortran.so.5 is not there" in found.found
    assert blas.threads(machine).verdict == NOT_HERE


@pytest.mark.parametrize(
    ("each", "ranks", "cores", "environment", "verdict", "fix"),
    [
        (1, 4, 2, {}, OK, ""),  # more ranks than cores is told by another check
        (2, 2, 4, {}, OK, ""),
        (4, 2, 4, {"OMP_NUM_THREADS": "4"}, PROBLEM, "unset OMP_NUM_THREADS"),
        (
            4,
            2,
            4,
            {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "4"},
            PROBLEM,
            "unset OPENBLAS_NUM_THREADS",
        ),
    ],
)
def test_the_threads_of_all_ranks_must_fit_the_cores(
    tmp_path: Path, each: int, ranks: int, cores: int, environment: dict[str, str], verdict: str, fix: str
) -> None:
    machine = Machine(tmp_path, ranks=ranks, cores=cores, environment=environment)
    found = blas.judge_threads(each, machine)
    assert (found.verdict, found.fix) == (verdict, fix)
