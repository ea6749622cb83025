"""How much memory is left: the least that machine, Slurm and control groups leave, in equal parts."""

from pathlib import Path

import pytest
from clustering.threads_comm import on_ranks

from hpcjobs.parallel import memory
from hpcjobs.parallel.communicator import SerialCommunicator


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)


def group(folder: Path, names: tuple[str, str, str], limit: str, used: int, cached: int) -> Path:
    """The files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    key = "total_inactive_file" if names is memory.VERSION_1 else "inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{key} {cached}\nfile 7\n")
    return folder


@pytest.mark.parametrize("names", [memory.VERSION_1, memory.VERSION_2])
def test_a_group_leaves_its_limit_less_what_it_cannot_drop(tmp_path: Path, names: tuple[str, str, str]) -> None:
    assert list(memory.left_in(group(tmp_path / "a", names, "1000", 600, 200), names)) == [600]
    assert list(memory.left_in(group(tmp_path / "b", names, "1000", 1600, 200), names)) == [0]
    assert list(memory.left_in(group(tmp_path / "c", names, "max", 600, 200), names)) == []
    assert list(memory.left_in(tmp_path / "none", names)) == []


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, None),
        ({"MEM_PER_NODE": "100"}, 100 * 2**20),
        ({"MEM_PER_CPU": "10", "CPUS_ON_NODE": "4"}, 40 * 2**20),
        ({"MEM_PER_CPU": "10"}, None),
        ({"MEM_PER_NODE": "0"}, None),
        ({"MEM_PER_NODE": "what"}, None),
    ],
)
def test_slurm_leaves_what_it_gave(given: dict[str, str], left: int | None) -> None:
    assert memory.of_slurm({f"SLURM_{name}": value for name, value in given.items()}) == left


def test_ranks_of_a_node_share_what_is_left_and_all_take_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "limits", lambda: {"the machine": 10**9, "Slurm": 4000, "cgroup": 7000})
    assert memory.free_memory(SerialCommunicator()) == 3200
    assert on_ranks(4, memory.free_memory) == [800] * 4


def test_here_something_is_left() -> None:
    assert 2**20 < memory.free_memory(SerialCommunicator()) < 2**50
