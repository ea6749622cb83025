"""What the partitions of a cluster have and allow, by sinfo; kept for an hour, so that most submits ask nothing."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from hpcjobs.data.publish import publish_bytes
from hpcjobs.errors import UserError
from hpcjobs.launch.resources import TIME, minutes
from hpcjobs.launch.slurm.command import ask
from hpcjobs.launch.slurm.where import cluster_key
from hpcjobs.runs.process import state_folder

# --exact keeps kinds of nodes apart, --all names hidden partitions as well. Features may hold anything: they come last.
SINFO = ["sinfo", "--all", "--exact", "--noheader", "--format=%P|%a|%l|%D|%c|%m|%G|%s|%g|%f"]
FIELDS = 10
CONFIGURATION = ["scontrol", "show", "config"]
KEPT_S = 3600.0
PATIENCE_S = 20.0
DEFAULT_ARRAY_SIZE = 1001  # Slurm's own
NONE = ("(null)", "none", "n/a", "")


class NodeKind(msgspec.Struct, frozen=True):
    """Nodes of a partition that are alike."""

    nodes: int
    cpus: int
    memory_mib: int
    gpus: dict[str, int]  # type: number on a node; "" where the site names no type
    features: tuple[str, ...]


class Partition(msgspec.Struct, frozen=True):
    """A partition, and the kinds of nodes in it."""

    name: str
    default: bool
    state: str  # up, down, drain, inact
    minutes: float | None  # None: no limit
    largest_job: int | None  # nodes that one job may have; None: no limit
    groups: tuple[str, ...]  # who may use it; none: everyone
    kinds: tuple[NodeKind, ...]

    @property
    def up(self) -> bool:
        """Whether jobs start there."""
        return self.state == "up"

    @property
    def nodes(self) -> int:
        """How many nodes it has, those that are down included."""
        return sum(kind.nodes for kind in self.kinds)

    @property
    def cpus(self) -> int:
        """Cores (or hardware threads, as the site counts) of its largest node."""
        return max((kind.cpus for kind in self.kinds), default=0)

    @property
    def memory_mib(self) -> int:
        """Memory of its largest node."""
        return max((kind.memory_mib for kind in self.kinds), default=0)

    @property
    def gpus(self) -> dict[str, int]:
        """The largest number of GPUs of each type on one node."""
        types = {name for kind in self.kinds for name in kind.gpus}
        return {name: max(kind.gpus.get(name, 0) for kind in self.kinds) for name in sorted(types)}

    @property
    def features(self) -> tuple[str, ...]:
        """Every feature that some node has."""
        return tuple(sorted({feature for kind in self.kinds for feature in kind.features}))


class Kept(msgspec.Struct, frozen=True):
    """What is kept of one cluster, and when it was asked."""

    partitions: tuple[Partition, ...] = ()
    partitions_asked: float = 0.0
    array_size: int = 0
    array_size_asked: float = 0.0


def partitions(fresh: bool = False, now: Callable[[], float] = time.time) -> list[Partition]:
    """All partitions, from what is kept or asked anew; none where Slurm does not say."""
    kept = _read()
    if not fresh and kept.partitions and 0 <= now() - kept.partitions_asked < KEPT_S:
        return list(kept.partitions)
    answer = ask(SINFO, PATIENCE_S)
    found = parse(answer.out) if answer.code == 0 else []
    if found:
        _write(msgspec.structs.replace(kept, partitions=tuple(found), partitions_asked=now()))
    return found


def max_array_size(now: Callable[[], float] = time.time) -> int:
    """Slurm's MaxArraySize: the largest index of an array is one less."""
    kept = _read()
    if kept.array_size and 0 <= now() - kept.array_size_asked < KEPT_S:
        return kept.array_size
    answer = ask(CONFIGURATION, PATIENCE_S)
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)\s*$", answer.out, re.MULTILINE) if answer.code == 0 else None
    if found is None:
        return DEFAULT_ARRAY_SIZE
    _write(msgspec.structs.replace(kept, array_size=int(found[1]), array_size_asked=now()))
    return int(found[1])


def parse(text: str) -> list[Partition]:
    """Partitions in the answer to `SINFO`; lines that are none of its rows (a banner, a cluster's name) are skipped."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|", FIELDS - 1)]
        if len(fields) != FIELDS or not all(re.match(r"\d", fields[column]) for column in (3, 4, 5)):
            continue
        name, state, limit, nodes, cpus, memory, gres, sizes, groups, features = fields
        kind = NodeKind(_number(nodes), _number(cpus), _number(memory), gpus(gres), _words(features))
        before = found.get(name.rstrip("*"))
        kinds = (*before.kinds, kind) if before else (kind,)
        largest = re.fullmatch(r"(?:\d+-)?(\d+)", sizes)  # "1-4", "4"; or "1-infinite"
        found[name.rstrip("*")] = Partition(
            name=name.rstrip("*"),
            default=name.endswith("*"),
            state=state.rstrip("*") or "up",
            minutes=minutes(limit) if re.fullmatch(TIME, limit) else None,
            largest_job=int(largest[1]) if largest else None,
            groups=() if groups in ("all", *NONE) or groups.startswith("%") else tuple(groups.split(",")),
            kinds=tuple(one for one in kinds if one.nodes),
        )
    return list(found.values())


def gpus(gres: str) -> dict[str, int]:
    """GPUs in generic resources as sinfo writes them: `gpu:a100:4(S:0-1),gpu:v100:2,lustre:1`."""
    found: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, _, rest = part.strip().partition(":")
        if name != "gpu":
            continue
        kind, _, count = (
            rest.rpartition(":") if rest[-1:].isdigit() and rest.split(":")[-1].isdigit() else (rest, "", "1")
        )
        found[kind] = found.get(kind, 0) + int(count)
    return {kind: count for kind, count in found.items() if count}


def _number(text: str) -> int:
    """A number that may end in + (the least of several) or K (thousands of nodes)."""
    found = re.match(r"(\d+(?:\.\d+)?)([KM]?)", text)
    assert found is not None
    return round(float(found[1]) * {"": 1, "K": 1000, "M": 1_000_000}[found[2]])


def _words(features: str) -> tuple[str, ...]:
    return () if features in NONE or features.startswith("%") else tuple(features.split(","))


def _file() -> Path | None:
    folder = state_folder()
    return folder / f"limits-{cluster_key()}.json" if folder else None


def _read() -> Kept:
    path = _file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept) if path else Kept()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Kept()


def _write(kept: Kept) -> None:
    path = _file()
    if path is None:
        return
    try:
        publish_bytes(path, msgspec.json.encode(kept))
    except UserError:  # a home that cannot be written: Slurm is asked each time
        return
