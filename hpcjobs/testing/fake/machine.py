"""The nodes and partitions of the pretend cluster, and which of them a job gets."""

from collections.abc import Iterable, Mapping
from typing import Any

from hpcjobs.testing.fake.store import Job
from hpcjobs.testing.fake.units import node_names

NODE = {"cpus": 8, "memory": 16000, "gpus": 0, "gpu_type": "", "features": ["cpu"]}
GPU_NODE = {"cpus": 8, "memory": 16000, "gpus": 4, "gpu_type": "a100", "features": ["gpu", "a100"]}
PARTITION = {"max_time": None, "default_time": None, "max_nodes": None, "tier": 10, "preempt": "", "state": "UP"}
MAIN_NODES = ["node1", "node2", "node3", "node4"]
DEFAULTS: dict[str, Any] = {
    "nodes": {**dict.fromkeys(MAIN_NODES, NODE), "gpu1": GPU_NODE, "gpu2": GPU_NODE},
    "partitions": {
        "main": {**PARTITION, "nodes": MAIN_NODES, "default": True},
        "short": {**PARTITION, "nodes": MAIN_NODES, "max_time": 2, "default_time": 1},
        "scavenge": {**PARTITION, "nodes": MAIN_NODES, "tier": 1, "preempt": "requeue"},
        "gpu": {**PARTITION, "nodes": ["gpu1", "gpu2"]},
    },
    "cluster": "pretend",
    "dialect": "23.11",
    "accounts": [],
    "qos": ["normal"],
    "mpi_types": ["none", "pmi2"],
    "memory_per_cpu": 2000,
    "max_array_size": 1001,
    "min_job_age": 300,
    "kill_wait": 5,
    "requeue_delay": 0.5,
    "grace": 0,
    "enforce_limits": True,
    "minute": 60,
}


def dialect(config: Mapping[str, Any]) -> tuple[int, int]:
    """The version of Slurm that is played, (23, 11)."""
    year, month = str(config["dialect"]).split(".")[:2]
    return int(year), int(month)


def memory_on(job: Job, cpus: int, config: Mapping[str, Any], node: Mapping[str, Any]) -> float:
    """MiB that a job takes of a node where it has some CPUs."""
    if job["mem_per_node"] is not None:
        return float(job["mem_per_node"] or node["memory"])
    return float((job["mem_per_cpu"] or config["memory_per_cpu"]) * cpus)


def used(jobs: Iterable[Job]) -> dict[str, list[float]]:
    """CPUs, MiB and GPUs taken, by node."""
    taken: dict[str, list[float]] = {}
    for job in jobs:
        for name, cpus, mib in zip(job["nodes"], job["cpus_on"], job["memory_on"], strict=True):
            sums = taken.setdefault(name, [0, 0, 0])
            for index, amount in enumerate((cpus, mib, job["gpus_per_node"])):
                sums[index] += amount
    return taken


def usable(job: Job, config: Mapping[str, Any]) -> list[str]:
    """The nodes of a job's partition that have what it asks for by name."""
    names = list(config["partitions"][job["partition"]]["nodes"])
    if job["nodelist"]:
        names = [name for name in node_names(job["nodelist"]) if name in names]
    banned = set(node_names(job["exclude"])) | set(config.get("down", []))
    wanted = {word for word in job["constraint"].replace("&", " ").split() if word}
    nodes = config["nodes"]
    return [
        name
        for name in names
        if name not in banned
        and wanted <= set(nodes[name]["features"])
        and job["gpus_per_node"] <= nodes[name]["gpus"]
        and job["gpu_type"] in ("", nodes[name]["gpu_type"])
    ]


def place(job: Job, config: Mapping[str, Any], taken: Mapping[str, list[float]]) -> list[tuple[str, int]] | None:
    """Nodes with a number of tasks each, or None while there is no room."""
    rooms = [(name, room(job, config, name, taken.get(name, [0, 0, 0]))) for name in usable(job, config)]
    rooms = [(name, fitting) for name, fitting in rooms if fitting > 0]
    tasks, per_node = job["ntasks"], job["ntasks_per_node"]
    if job["min_nodes"]:
        count = job["min_nodes"]
        shares = [tasks // count + (index < tasks % count) for index in range(count)]
        if per_node and not job["ntasks_asked"]:
            shares = [per_node] * count
        chosen: list[tuple[str, int]] = []
        for name, fitting in rooms:
            if len(chosen) < count and fitting >= shares[len(chosen)]:
                chosen.append((name, shares[len(chosen)]))
        return chosen if len(chosen) == count else None
    chosen = []
    for name, fitting in rooms:
        share = min(fitting, per_node or fitting, tasks)
        chosen.append((name, share))
        tasks -= share
        if tasks == 0:
            return chosen
    return None


def room(job: Job, config: Mapping[str, Any], name: str, taken: list[float]) -> int:
    """How many tasks of a job a node could take now."""
    node = config["nodes"][name]
    cpus, mib, gpus = node["cpus"] - taken[0], node["memory"] - taken[1], node["gpus"] - taken[2]
    if job["gpus_per_node"] > gpus or (job["exclusive"] and any(taken)):
        return 0
    fitting = int(cpus // job["cpus_per_task"])
    if job["mem_per_node"] is not None:
        return fitting if memory_on(job, 0, config, node) <= mib else 0
    return min(fitting, int(mib // memory_on(job, job["cpus_per_task"], config, node)))
