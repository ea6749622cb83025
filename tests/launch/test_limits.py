"""What cannot run is refused before the queue, and what can is not; Slurm is asked at most once an hour."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.launch.resources import Resources
from hpcjobs.launch.slurm.limits import check, clock, max_array_size, partitions, refuse_impossible
from hpcjobs.launch.slurm.partitions import gpus, parse

# As `sinfo --all --exact` of Slurm 22.05 printed it on the project's own cluster.
SMALL = """\
main*|up|infinite|3|2|4096|(null)|1-infinite|all|(null)
short|up|2:00|3|2|4096|(null)|1-infinite|all|(null)
scavenge|up|infinite|3|2|4096|(null)|1-infinite|all|(null)
"""
# In the forms of larger sites: kinds of nodes in one partition, GPUs with sockets, groups, features, a banner.
LARGE = """\
*** maintenance on Friday ***
CLUSTER: big
batch*|up|2-00:00:00|900|64|256000|(null)|1-128|all|avx512,skylake
batch*|up|2-00:00:00|20|128|2064000|(null)|1-128|all|avx512,fat
debug|up|30:00|4|64|256000|(null)|1-2|all|skylake
accel|up|1-00:00:00|40|48|512000|gpu:a100:4(S:0-1),craynetwork:4|1-infinite|all|a100
accel|up|1-00:00:00|2|48|512000|gpu:v100:2(S:0),gpu:v100s:2(S:1)|1-infinite|all|v100
plain|up|1-00:00:00|2|16|64000|gpu:8|4|all|(null)
staff|up|infinite|1000|256|4000000|gpu:h100:8|1-infinite|wheel_of_fortune|(null)
broken|down|infinite|5|64|256000|(null)|1-infinite|all|(null)
closed|drain|infinite|2000|64|256000|(null)|1-infinite|all|(null)
off|inact|infinite|5|64|256000|(null)|1-infinite|all|(null)
"""


def objection_to(text: str = LARGE, **asked: object) -> str:
    """The message of a request that must be refused."""
    with pytest.raises(SettingsError) as refused:
        check(Resources(**asked), parse(text))  # type: ignore[arg-type]
    return str(refused.value)


def test_partitions_are_read_from_sinfo() -> None:
    small = {partition.name: partition for partition in parse(SMALL)}
    assert list(small) == ["main", "short", "scavenge"]
    assert [one.default for one in small.values()] == [True, False, False]
    assert (small["main"].minutes, small["short"].minutes) == (None, 2.0)
    assert (small["main"].nodes, small["main"].cpus, small["main"].memory_mib) == (3, 2, 4096)
    assert small["main"].gpus == {} and small["main"].features == () and small["main"].groups == ()


def test_several_kinds_of_nodes_make_one_partition_as_large_as_the_largest() -> None:
    large = {partition.name: partition for partition in parse(LARGE)}
    assert (large["batch"].nodes, large["batch"].cpus, large["batch"].memory_mib) == (920, 128, 2064000)
    assert large["batch"].features == ("avx512", "fat", "skylake")
    assert large["batch"].minutes == 2 * 24 * 60
    assert large["accel"].gpus == {"a100": 4, "v100": 2, "v100s": 2}
    assert (large["batch"].largest_job, large["accel"].largest_job, large["plain"].largest_job) == (128, None, 4)
    assert large["staff"].groups == ("wheel_of_fortune",)
    assert [name for name, partition in large.items() if not partition.up] == ["broken", "closed", "off"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(null)", {}),
        ("N/A", {}),
        ("gpu:4", {"": 4}),
        ("gpu", {"": 1}),
        ("gpu:a100:4", {"a100": 4}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0,3),gpu:a100:2(S:1)", {"a100": 4}),
        ("gpu:nvidia_a100_3g.20gb:8(S:0)", {"nvidia_a100_3g.20gb": 8}),
        ("craynetwork:4,gpu:mi250:8", {"mi250": 8}),
        ("gpu:0", {}),
    ],
)
def test_gpus_are_read_in_every_form(text: str, expected: dict[str, int]) -> None:
    assert gpus(text) == expected


@pytest.mark.parametrize(
    "text", ["", "slurm_load_partitions: error", "a|b|c", "main*|up|infinite|x|y|z||||", "\0\n|||||||||"]
)
def test_an_answer_that_is_none_gives_no_partitions_and_refuses_nothing(text: str) -> None:
    assert parse(text) == []
    assert check(Resources(partition="nowhere", nodes=10**6), parse(text)) == []


def test_least_values_and_thousands_are_numbers_too() -> None:
    (found,) = parse("long*|up|n/a|1.2K|64+|256000+|(null)|1-infinite|all|(null)\n")
    assert (found.nodes, found.cpus, found.memory_mib, found.minutes) == (1200, 64, 256000, None)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"partition": "batsch"}, "--partition batsch: there is no such partition; did you mean 'batch'?"),
        ({"partition": "batch,nowhere"}, "--partition nowhere: there is no such partition"),
        (
            {"partition": "debug", "time": "3:00:00"},
            "--time 3:00:00: partition debug allows at most 0:30:00; partitions that fit: batch",
        ),
        ({"time": "3-0"}, "--time 3-0: partition batch allows at most 2-00:00:00"),
        ({"nodes": 129}, "--nodes 129: partition batch allows a job at most 128"),
        ({"partition": "accel", "nodes": 43}, "--nodes 43: partition accel has 42"),
        (
            {"ntasks_per_node": 64, "cpus_per_task": 4},
            "64 with --cpus-per-task 4: needs 256 CPUs on a node, and partition batch has at most 128",
        ),
        ({"cpus_per_task": 200}, "--cpus-per-task 200: needs 200 CPUs on a node"),
        ({"nodes": 2, "ntasks": 300}, "needs 150 CPUs on a node"),
        ({"mem": "3T"}, "--mem 3T: partition batch has at most 2064000 MiB"),
        ({"partition": "debug", "mem": "300G"}, "partitions that fit: batch, accel"),
        (
            {"mem_per_cpu": "40G", "ntasks_per_node": 64},
            "--mem-per-cpu 40G on 64 CPUs of a node: partition batch has at most",
        ),
        ({"gpus_per_node": "2"}, "--gpus-per-node 2: partition batch has no GPUs; partitions that fit: accel, plain"),
        (
            {"partition": "accel", "gpus_per_node": "h100:2"},
            "has no GPUs of type h100: at most 4 a100 or 2 v100 or 2 v100s GPUs on a node",
        ),
        (
            {"partition": "accel", "gpus_per_node": "a100:8"},
            "--gpus-per-node a100:8: partition accel has at most 4 a100",
        ),
        (
            {"partition": "accel", "sbatch_arg": ("--gres=gpu:a100:5",)},
            "--gres=gpu:a100:5: partition accel has at most 4",
        ),
        (
            {"partition": "accel", "ntasks_per_node": 5, "sbatch_arg": ("--gpus-per-task=1",)},
            "--gpus-per-task=1: partition accel",
        ),
        ({"partition": "accel", "sbatch_arg": ("--gpus=h100:1",)}, "no GPUs of type h100"),
        (
            {"partition": "accel", "nodes": 3, "gpus_per_node": "v100:1"},
            "--nodes 3: partition accel has 2 with what is asked",
        ),
        (
            {"partition": "batch", "constraint": "skylake", "mem": "1T"},
            "no node of partition batch has that together with the rest",
        ),
        (
            {"constraint": "icelake"},
            "--constraint icelake: no node of partition batch has it; features there: avx512, fat, skylake",
        ),
        ({"partition": "debug", "ntasks": 257}, "--ntasks 257: the nodes of partition debug hold at most 256 ranks"),
        (
            {"nodes": 2, "ntasks_per_node": 4, "ntasks": 9},
            "--ntasks 9: --nodes 2 with --ntasks-per-node 4 hold fewer",
        ),
        ({"partition": "closed"}, "--partition closed: it takes no new jobs at this time (sinfo: drain)"),
        ({"partition": "off"}, "--partition off: it takes no jobs"),
        (
            {"partition": "debug,plain", "nodes": 5},
            "--nodes 5: partition debug allows a job at most 2; partitions that fit: batch, accel",
        ),
    ],
)
def test_what_no_partition_asked_for_can_run_is_refused_with_what_fits(asked: dict[str, object], said: str) -> None:
    assert said in objection_to(**asked)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"nodes": 128, "ntasks_per_node": 64, "time": "2-00:00:00"},
        {"mem": "0"},
        {"mem": "256000M"},
        {"ntasks": 5000},  # Slurm spreads them over nodes
        {"ntasks": 500, "mem_per_cpu": "3G"},
        {"partition": "debug,batch", "nodes": 100},  # one of them fits
        {"partition": "accel", "gpus_per_node": "4"},
        {"partition": "accel", "gpus_per_node": "v100:2"},
        {"partition": "accel", "constraint": "a100|h100"},
        {"partition": "accel", "sbatch_arg": ("--gpus=16",)},
        {"partition": "plain", "gpus_per_node": "8"},
        {"partition": "debug", "qos": "long", "time": "1-0"},  # which may lift the limit
        {"ntasks_per_node": 500, "sbatch_arg": ("--overcommit",)},
        {"constraint": "skylake&avx512"},
    ],
)
def test_what_can_run_is_not_refused(asked: dict[str, object]) -> None:
    assert check(Resources(**asked), parse(LARGE)) == []  # type: ignore[arg-type]


def test_a_partition_that_is_down_takes_jobs_that_wait() -> None:
    (note,) = check(Resources(partition="broken"), parse(LARGE))
    assert note == "partition broken is down at this time: the job waits until it is up"
    assert check(Resources(partition="broken,batch"), parse(LARGE)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="any partition is open to root only")
def test_partitions_of_other_groups_are_named_to_root_only(tmp_path: Path) -> None:
    assert "partitions that fit: accel, staff" in objection_to(gpus_per_node="1", cpus_per_task=48)
    code = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from hpcjobs.launch.slurm.limits import check; from hpcjobs.launch.slurm.partitions import parse\n"
        "from hpcjobs.launch.resources import Resources; from hpcjobs.errors import UserError\n"
        "try: check(Resources(gpus_per_node='1', cpus_per_task=48), parse(sys.argv[1]))\n"
        "except UserError as error: print(error)"
    )
    preload = "import hpcjobs.launch.slurm.limits, hpcjobs.launch.resources\n"  # nobody may not read the checkout
    argv = [sys.executable, "-c", preload + code, LARGE]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert told.strip().endswith("partitions that fit: accel")


@pytest.mark.parametrize(
    ("limit", "text"),
    [(2, "0:02:00"), (0.5, "0:00:30"), (60, "1:00:00"), (1440, "1-00:00:00"), (3630.25, "2-12:30:15")],
)
def test_limits_are_written_as_slurm_does(limit: float, text: str) -> None:
    assert clock(limit) == text


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Commands of Slurm's that print a file; call it to set the file or to count the calls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = '#!/bin/sh\necho "$@" >>"$0.calls"\n[ -e "$0.fails" ] && exit 1\ncat "$0.text"\n'
    for name in ("sinfo", "scontrol", "squeue"):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def told(name: str, text: str | None = None, *, fails: bool = False) -> int:
        if text is not None:
            (tools / f"{name}.text").write_text(text)
        if fails:
            (tools / f"{name}.fails").touch()
        calls = tools / f"{name}.calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    return told


def test_slurm_is_asked_once_an_hour(site: Callable[..., int]) -> None:
    site("sinfo", LARGE)
    clock_now = 1000.0
    for _ in range(5):
        assert partitions(now=lambda: clock_now) == parse(LARGE)
    assert site("sinfo") == 1
    clock_now += 3601
    assert partitions(now=lambda: clock_now) == parse(LARGE)
    assert site("sinfo") == 2
    clock_now -= 7200  # a clock that was set back makes nothing fresh
    partitions(now=lambda: clock_now)
    assert site("sinfo") == 3


def test_what_is_kept_refuses_nothing_before_slurm_was_asked_anew(site: Callable[..., int]) -> None:
    site("sinfo", SMALL)
    refuse_impossible(Resources(nodes=3))
    site("sinfo", SMALL.replace("|3|2|4096", "|5|2|4096"))
    refuse_impossible(Resources(nodes=5))
    assert site("sinfo") == 2
    with pytest.raises(SettingsError, match="--nodes 6: partition main has 5; no partition of this cluster fits"):
        refuse_impossible(Resources(nodes=6))
    site("sinfo", fails=True)
    assert refuse_impossible(Resources(nodes=6)) == []  # a Slurm that is silent refuses nothing


def test_a_slurm_that_does_not_answer_or_is_not_there_refuses_nothing(
    site: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site("sinfo", fails=True)
    assert refuse_impossible(Resources(partition="nowhere")) == []
    monkeypatch.setenv("PATH", "/nonexistent")
    assert refuse_impossible(Resources(partition="nowhere")) == []
    assert max_array_size() == 1001


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"partitions": 3}', b"\xff\xfe"])
def test_what_is_kept_and_damaged_is_asked_anew(site: Callable[..., int], tmp_path: Path, content: bytes) -> None:
    site("sinfo", SMALL)
    partitions()
    (kept,) = (tmp_path / "state" / "hpcjobs").glob("limits-*.json")
    kept.write_bytes(content)
    assert partitions() == parse(SMALL)
    assert site("sinfo") == 2


def test_a_home_that_cannot_be_written_costs_a_call_and_no_error(site: Callable[..., int], tmp_path: Path) -> None:
    site("sinfo", SMALL)
    (tmp_path / "state").write_text("a file, not a folder")
    assert partitions() == partitions() == parse(SMALL)
    assert site("sinfo") == 2


def test_another_cluster_is_kept_apart(site: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    site("sinfo", SMALL)
    partitions()
    monkeypatch.setenv("SLURM_CONF", "/elsewhere/slurm.conf")
    site("sinfo", LARGE)
    assert partitions() == parse(LARGE)
    monkeypatch.delenv("SLURM_CONF")
    assert partitions() == parse(SMALL)


def test_the_largest_array_is_asked_for_once(site: Callable[..., int]) -> None:
    site("scontrol", "Configuration data\nMaxArraySize            = 2001\nMaxJobCount = 5\n")
    site("sinfo", SMALL)
    assert [max_array_size(), max_array_size()] == [2001, 2001]
    partitions()
    assert max_array_size() == 2001
    assert site("scontrol") == 1
