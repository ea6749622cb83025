"""Which kernels the linear algebra runs on, against what the CPU has, and on how many threads."""

from collections.abc import Sequence
from typing import Any

from hpcjobs.launch import child
from hpcjobs.launch.doctor._finding import NOT_HERE, OK, PROBLEM, WARNING, Finding, Machine, listed, pip, set_here

PLACE = 40
LOAD_S = 60.0
POOLS = """import json, numpy, scipy.linalg.blas
from threadpoolctl import threadpool_info
print(json.dumps({"pools": threadpool_info()}))"""
FORCING = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS", "BLIS_ARCH_TYPE",
)  # fmt: skip
THREADS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
# What vector instructions the kernels of OpenBLAS and BLIS use, by the name that they go by.
KERNELS = {
    "SSE": "generic prescott core2 penryn dunnington nehalem atom nano bobcat barcelona opteron opteron_sse3 athlon",
    "AVX": "sandybridge bulldozer piledriver steamroller",
    "AVX2": "haswell excavator zen zen2 zen3",
    "AVX-512": "skylakex cooperlake sapphirerapids skx knl zen4 zen5",
    "NEON": "armv8 cortexa53 cortexa55 cortexa57 cortexa72 cortexa73 cortexa76 cortexx1 falkor thunderx thunderx2 "
    "thunderx2t99 thunderx3t110 tsv110 emag8180 neoversen1 ft2000 vortex firestorm",
    "SVE": "armv8sve armsve a64fx neoversev1 neoversen2 neoversev2",
}
LEVELS = {name: level for level, names in KERNELS.items() for name in names.split()}
# Best first: what the CPU must have for it.
NEEDED = {
    "AVX-512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    "AVX2": {"avx2", "fma"},
    "AVX": {"avx"},
    "SSE": {"sse2"},
    "SVE": {"sve"},
    "NEON": {"asimd"},
}
ORDER = list(KERNELS)
Pool = dict[str, Any]


def pools(machine: Machine) -> list[Pool] | Finding:
    """What threadpoolctl tells of the BLAS libraries of NumPy and SciPy, or why it does not."""
    answer = child.python(["-c", POOLS], LOAD_S, machine.environment)
    told = child.last_object(answer.out)
    if not told:
        said = child.telling(answer.err) or answer.problem
        return Finding(PROBLEM, f"NumPy and SciPy do not load: {said}", pip("install --upgrade numpy scipy"))
    return [pool for pool in told["pools"] if pool["user_api"] == "blas"]


def kernel(machine: Machine) -> Finding:
    """Library, version and kernel."""
    found = pools(machine)
    if isinstance(found, Finding):
        return found
    return judge_kernel(found, best(machine.text("proc/cpuinfo")), set_here(machine, FORCING))


def best(cpuinfo: str) -> str:
    """The widest vector instructions of the CPU; "" for one that we do not know."""
    lines = (line for line in cpuinfo.splitlines() if line.startswith(("flags", "Features")))
    flags = set(next(lines, "").partition(":")[2].split())
    return next((level for level, needed in NEEDED.items() if needed <= flags), "")


def judge_kernel(found: Sequence[Pool], cpu: str, forced: dict[str, str]) -> Finding:
    """The verdict on the kernels that run; an old one does the same work in twice the time or more."""
    names = sorted({f"{pool['internal_api']} {pool['version']} {pool.get('architecture') or ''}" for pool in found})
    told = f"{', '.join(name.strip() for name in names) or 'none that is known'}; the CPU has {cpu or 'unknown units'}"
    levels = [LEVELS.get(str(pool.get("architecture")).lower(), "") for pool in found]
    weak = sorted({level for level in levels if level and cpu and ORDER.index(level) < ORDER.index(cpu)})
    slow = f", the kernel uses {' and '.join(weak)} only: expect half the speed" if weak else ""
    if forced:
        return Finding(WARNING, f"{told}{slow}; forced by {listed(forced)}", f"unset {' '.join(forced)}")
    if weak or not found:
        return Finding(WARNING, f"{told}{slow}", pip("install --upgrade --force-reinstall numpy scipy"))
    return Finding(OK, told)


def threads(machine: Machine) -> Finding:
    """Threads of all ranks against the cores there are, by the rule of the census."""
    found = pools(machine)
    if isinstance(found, Finding):
        return Finding(NOT_HERE, "no BLAS to ask")
    return judge_threads(max((pool["num_threads"] for pool in found), default=1), machine)


def judge_threads(each: int, machine: Machine) -> Finding:
    """The verdict on a number of threads of each rank."""
    told = f"{each} a rank, {machine.ranks} ranks, {machine.cores} cores"
    many = {name: value for name, value in set_here(machine, THREADS).items() if value != "1"}
    if each > 1 and each * machine.ranks > machine.cores:
        why = f"{told}: {each * machine.ranks} threads fight for {machine.cores} cores, and the run is refused"
        return Finding(PROBLEM, f"{why} ({listed(many)})" if many else why, f"unset {' '.join(many or THREADS)}")
    return Finding(OK, told)


CHECKS = {"BLAS kernel": kernel, "BLAS threads": threads}
