"""What affinity, cgroups of both versions and Slurm leave of a machine that a test has written down."""

from pathlib import Path

import pytest

from hpcjobs.launch.doctor import _cgroup, cores
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Machine
from hpcjobs.parallel.memory import limits

GIB = 2**30
MEMINFO = "MemTotal:       67108864 kB\nMemFree:  1 kB\nMemAvailable:   33554432 kB\n"  # 64 and 32 GiB
UNLIMITED_V1 = str(2**63 - 4096)


def machine(root: Path, files: dict[str, object], **how: object) -> Machine:
    """A machine of which these files of /proc and /sys are known."""
    for name, content in ({"proc/meminfo": MEMINFO} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    return Machine(root, **({"environment": {}, "cores": 8, "root": root} | how))  # type: ignore[arg-type]


def version_2(**files: object) -> dict[str, object]:
    """A job's cgroup of version 2 inside a user's."""
    own = {"proc/self/cgroup": "0::/user/job\n"}
    return own | {
        f"sys/fs/cgroup/{name.replace('__', '/').replace('_DOT_', '.')}": file for name, file in files.items()
    }


def version_1(**files: object) -> dict[str, object]:
    return {"proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/x\n0::/\n"} | {
        f"sys/fs/cgroup/{name.replace('__', '/').replace('_DOT_', '.')}": file for name, file in files.items()
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (version_2(user__job__cpu_DOT_max="max 100000\n"), None),
        (version_2(user__job__cpu_DOT_max="150000 100000\n"), 1.5),
        (version_2(user__job__cpu_DOT_max="max 100000\n", user__cpu_DOT_max="200000 100000\n"), 2.0),
        (version_1(cpu__job__cpu_DOT_cfs_quota_us="-1\n", cpu__job__cpu_DOT_cfs_period_us="100000\n"), None),
        (version_1(cpu__job__cpu_DOT_cfs_quota_us="50000\n", cpu__job__cpu_DOT_cfs_period_us="100000\n"), 0.5),
        # A container sees its own cgroup at the root, whatever /proc calls it.
        (version_1(cpu__cpu_DOT_cfs_quota_us="300000\n", cpu__cpu_DOT_cfs_period_us="100000\n"), 3.0),
    ],
)
def test_the_tightest_quota_of_time_counts(tmp_path: Path, files: dict[str, object], expected: float | None) -> None:
    assert _cgroup.cpus(machine(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (version_2(user__job__memory_DOT_max="max\n", user__job__memory_DOT_current="5\n"), None),
        (version_2(user__job__memory_DOT_max=GIB, user__job__memory_DOT_current=GIB // 4), 3 * GIB // 4),
        (
            version_2(
                user__job__memory_DOT_max=GIB,
                user__job__memory_DOT_current=GIB,
                user__job__memory_DOT_stat="anon 5\ninactive_file 4096\n",
            ),
            4096,
        ),
        (
            version_2(
                user__job__memory_DOT_max=4 * GIB,
                user__job__memory_DOT_current=0,
                user__memory_DOT_max=2 * GIB,
                user__memory_DOT_current=GIB,
            ),
            GIB,
        ),
        (
            version_1(memory__job__memory_DOT_limit_in_bytes=UNLIMITED_V1, memory__job__memory_DOT_usage_in_bytes="5"),
            None,
        ),
        (
            version_1(
                memory__job__memory_DOT_limit_in_bytes=GIB,
                memory__job__memory_DOT_usage_in_bytes=GIB,
                memory__job__memory_DOT_stat="inactive_file 1\ntotal_inactive_file 8192\n",
            ),
            8192,
        ),
    ],
)
def test_the_memory_that_cgroups_leave_is_found(tmp_path: Path, files: dict[str, object], expected: int | None) -> None:
    assert limits(machine(tmp_path, files).root, {}).get("cgroup") == expected


@pytest.mark.parametrize(
    ("ranks", "files", "verdict", "fix"),
    [
        (8, {}, OK, ""),
        (9, {}, WARNING, "hpcjobs doctor -n 8"),
        (3, version_2(user__job__cpu_DOT_max="250000 100000\n"), WARNING, "hpcjobs doctor -n 2"),
        (1, version_2(user__job__cpu_DOT_max="50000 100000\n"), WARNING, "hpcjobs doctor -n 1"),
    ],
)
def test_more_ranks_than_cores_are_told_of(
    tmp_path: Path, ranks: int, files: dict[str, object], verdict: str, fix: str
) -> None:
    found = cores.cores(machine(tmp_path, files, ranks=ranks))
    assert (found.verdict, found.fix) == (verdict, fix)


@pytest.mark.parametrize(
    ("ranks", "files", "environment", "verdict", "by", "fix"),
    [
        (1, {}, {}, OK, "32768 MiB left by the machine, of 65536 MiB; 26214 MiB a rank", ""),
        (4, {}, {"SLURM_MEM_PER_NODE": "8192"}, OK, "8192 MiB left by Slurm", ""),
        (8, {}, {"SLURM_MEM_PER_NODE": "8192"}, WARNING, "819 MiB a rank", "hpcjobs doctor -n 6"),
        (1, {}, {"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "2"}, PROBLEM, "160 MiB a rank", "ps -eo"),
        (1, {}, {"SLURM_MEM_PER_NODE": "0"}, OK, "left by the machine", ""),  # 0 is all of the node
        (
            4,
            version_2(user__job__memory_DOT_max=GIB, user__job__memory_DOT_current=0),
            {},
            PROBLEM,
            "1024 MiB left by cgroup",
            "hpcjobs doctor -n 1",
        ),
    ],
)
def test_the_least_memory_that_anyone_leaves_counts(
    tmp_path: Path,
    ranks: int,
    files: dict[str, object],
    environment: dict[str, str],
    verdict: str,
    by: str,
    fix: str,
) -> None:
    found = cores.memory(machine(tmp_path, files, ranks=ranks, environment=environment))
    assert found.verdict == verdict, found
    assert by in found.found
    assert found.fix.startswith(fix)


def test_a_system_that_tells_nothing_is_no_crash(tmp_path: Path) -> None:
    assert cores.memory(Machine(tmp_path, root=tmp_path, environment={})).verdict == WARNING
    assert cores.cores(Machine(tmp_path, root=tmp_path, environment={}, cores=4)).found.startswith("4 of 4")
