"""What cannot run is refused before the queue: a request held against what the partitions have and allow."""

import grp
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hpcjobs.errors import SettingsError, nearest
from hpcjobs.launch.resources import Resources, mebibytes, minutes, passed
from hpcjobs.launch.slurm.partitions import NodeKind, Partition, gpus, max_array_size, partitions

__all__ = ["NodeKind", "Partition", "check", "max_array_size", "partitions", "refuse_impossible"]

CLOSED = {"drain": "takes no new jobs", "inact": "takes no jobs"}
GPU_TOTAL = ("gpus", "gpus-per-task", "gres")


@dataclass(frozen=True)
class Demand:
    """One thing that a node must have."""

    option: str
    met: Callable[[NodeKind], bool]
    unmet: str  # what to say when no node has it


def refuse_impossible(resources: Resources) -> list[str]:
    """Refuse what no partition could ever run; returns notes for the user. A Slurm that is silent refuses nothing."""
    try:
        return check(resources, partitions())
    except SettingsError:  # what is kept may be an hour old
        return check(resources, partitions(fresh=True))


def check(resources: Resources, known: Sequence[Partition]) -> list[str]:
    """SettingsError for what cannot run, naming what would fit; else notes for the user."""
    options = dict(passed(text) for text in resources.sbatch_arg)
    if not known:
        return []
    if resources.nodes and resources.ntasks_per_node and resources.ranks > resources.nodes * resources.ntasks_per_node:
        each = f"--nodes {resources.nodes} with --ntasks-per-node {resources.ntasks_per_node}"
        raise SettingsError(f"--ntasks {resources.ntasks}: {each} hold fewer; leave --ntasks out, or raise one of them")
    names = [partition.name for partition in known]
    for name in (resources.partition or "").split(","):
        if name and name not in names:
            raise SettingsError(f"--partition {name}: there is no such partition; {nearest(name, names)}")
    wanted = resources.partition.split(",") if resources.partition else [one.name for one in known if one.default]
    asked = [partition for partition in known if partition.name in wanted]
    objections = [objection(resources, options, partition) for partition in asked]
    if objections and all(objections):
        fitting = [one.name for one in known if _open_to_us(one) and not objection(resources, options, one)]
        fit = f"partitions that fit: {', '.join(fitting)}" if fitting else "no partition of this cluster fits"
        raise SettingsError(f"{objections[0]}; {fit}")
    able = [partition for partition, wrong in zip(asked, objections, strict=True) if not wrong]
    if able and not any(partition.up for partition in able):
        down = ", ".join(partition.name for partition in able)
        return [f"partition {down} is down at this time: the job waits until it is up"]
    return []


def objection(resources: Resources, options: Mapping[str, str], partition: Partition) -> str | None:
    """Why a partition can never run this; None when it can."""
    where = f"partition {partition.name}"
    if partition.state in CLOSED:
        return f"--partition {partition.name}: it {CLOSED[partition.state]} at this time (sinfo: {partition.state})"
    if not resources.qos:  # which may lift what a partition allows, never what its nodes have
        if resources.time and partition.minutes is not None and minutes(resources.time) > partition.minutes:
            return f"--time {resources.time}: {where} allows at most {clock(partition.minutes)}"
        if partition.largest_job is not None and resources.least_nodes > partition.largest_job:
            return f"--nodes {resources.least_nodes}: {where} allows a job at most {partition.largest_job}"
    fitting = partition.kinds
    for demand in demands(resources, options, partition):
        if not any(demand.met(kind) for kind in partition.kinds):
            return demand.unmet
        fitting = tuple(kind for kind in fitting if demand.met(kind))
        if not fitting:
            return f"{demand.option}: no node of {where} has that together with the rest of what is asked"
    there = sum(kind.nodes for kind in fitting)
    some = "" if there == partition.nodes else " with what is asked"
    if resources.least_nodes > there:
        return f"--nodes {resources.least_nodes}: {where} has {there}{some}"
    room = sum(kind.nodes * (kind.cpus // (resources.cpus_per_task or 1)) for kind in fitting)
    if resources.ranks > room and "overcommit" not in options:
        return f"--ntasks {resources.ranks}: the nodes of {where}{some} hold at most {room} ranks"
    return None


def demands(resources: Resources, options: Mapping[str, str], partition: Partition) -> Iterator[Demand]:
    """What every node of the job must have."""
    where = f"partition {partition.name}"
    ranks = _ranks_of_a_node(resources)
    cores = ranks * (resources.cpus_per_task or 1)
    if "overcommit" not in options:
        each = f"--cpus-per-task {resources.cpus_per_task or 1}"
        option = f"--ntasks-per-node {ranks} with {each}" if ranks > 1 else each
        unmet = f"{option}: needs {cores} CPUs on a node, and {where} has at most {partition.cpus}"
        yield Demand(option, lambda kind: kind.cpus >= cores, unmet)
    memory = mebibytes(resources.mem) if resources.mem else mebibytes(resources.mem_per_cpu or "0") * cores
    if memory:
        option = f"--mem {resources.mem}" if resources.mem else f"--mem-per-cpu {resources.mem_per_cpu}"
        asked = "" if resources.mem or cores == 1 else f" on {cores} CPUs of a node"
        unmet = f"{option}{asked}: {where} has at most {partition.memory_mib} MiB ({partition.memory_mib}M) on a node"
        yield Demand(option, lambda kind: kind.memory_mib >= memory, unmet)
    for option, name, count in gpus_of_a_node(resources, options):
        yield Demand(option, _has_gpus(name, count), f"{option}: {_no_gpus(partition, name)}")
    if resources.constraint:
        words = re.findall(r"[A-Za-z_][\w.:-]*", resources.constraint)
        every = all if re.fullmatch(r"[\w.:&,-]+", resources.constraint) else any  # with | or [] one may do
        option = f"--constraint {resources.constraint}"
        features = ", ".join(partition.features) or "none"
        unmet = f"{option}: no node of {where} has it; features there: {features}"
        yield Demand(option, lambda kind: every(word in kind.features for word in words), unmet)


def gpus_of_a_node(resources: Resources, options: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    """The GPUs that a node must have: the option that asks for them, their type ("" for any), how many."""
    if resources.gpus_per_node:
        for name, count in gpus(f"gpu:{resources.gpus_per_node}").items():
            yield f"--gpus-per-node {resources.gpus_per_node}", name, count
    for option in GPU_TOTAL:
        value = options.get(option, "")
        for name, count in gpus(value if option == "gres" else f"gpu:{value}" if value else "").items():
            if option == "gpus-per-task":
                count *= _ranks_of_a_node(resources)
            elif option == "gpus":
                count = -(-count // resources.nodes) if resources.nodes else 1
            yield f"--{option}={value}", name, count


def clock(limit: float) -> str:
    """Minutes as Slurm writes them: 0:02:00, 2-12:00:00."""
    days, seconds = divmod(round(limit * 60), 86400)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{days}-{text:0>8}" if days else text


def _ranks_of_a_node(resources: Resources) -> int:
    """The ranks that must share a node; of --ntasks alone Slurm puts as many on each as it likes."""
    spread = resources.ntasks and not resources.nodes and not resources.ntasks_per_node
    return 1 if spread else resources.ranks_per_node


def _has_gpus(name: str, count: int) -> Callable[[NodeKind], bool]:
    return lambda kind: (kind.gpus.get(name, 0) if name else sum(kind.gpus.values())) >= count


def _no_gpus(partition: Partition, name: str) -> str:
    there = [f"{count} {kind}".strip() for kind, count in partition.gpus.items()]
    most = f"at most {' or '.join(there)} GPUs on a node" if there else "no GPUs"
    what = "" if not name or name in partition.gpus else f"no GPUs of type {name}: "
    return f"partition {partition.name} has {what}{most}"


def _open_to_us(partition: Partition) -> bool:
    """Whether it runs jobs of ours at this time, as far as groups tell."""
    if not partition.up:
        return False
    if not partition.groups or os.geteuid() == 0:
        return True
    return any(_group(number) in partition.groups for number in {os.getegid(), *os.getgroups()})


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
