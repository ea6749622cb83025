"""`sinfo`: the partitions and the state of their nodes."""

from typing import Any

from hpcjobs.testing.fake import columns
from hpcjobs.testing.fake.machine import used
from hpcjobs.testing.fake.options import FLAG, MAYBE, VALUE, Options, fail
from hpcjobs.testing.fake.scheduling import holds
from hpcjobs.testing.fake.store import Store
from hpcjobs.testing.fake.units import limit, node_list, node_names

KINDS = {
    **dict.fromkeys(("noheader", "Node", "all", "exact", "long", "summarize", "list-reasons", "responding", "dead",
                     "verbose", "hide", "federation", "local", "noconvert"), FLAG),
    **dict.fromkeys(("format", "Format", "partition", "nodes", "states", "clusters", "sort", "iterate"), VALUE),
    "json": MAYBE,
}  # fmt: skip
SHORT = {
    "h": "noheader", "N": "Node", "a": "all", "e": "exact", "l": "long", "s": "summarize", "R": "list-reasons",
    "r": "responding", "d": "dead", "o": "format", "O": "Format", "p": "partition", "n": "nodes", "t": "states",
    "M": "clusters", "S": "sort", "i": "iterate", "v": "verbose",
}  # fmt: skip
DEFAULT = "%9P %.5a %.10l %.6D %.6t %N"
SUMMARY = "%9P %.5a %.10l %.16F  %N"
BY_NODE = "%10N %.6D %.9P %6t"
TITLES = {
    "P": "PARTITION", "R": "PARTITION", "a": "AVAIL", "l": "TIMELIMIT", "D": "NODES", "t": "STATE", "T": "STATE",
    "N": "NODELIST", "c": "CPUS", "m": "MEMORY", "G": "GRES", "f": "AVAIL_FEATURES", "C": "CPUS(A/I/O/T)",
    "s": "JOB_SIZE", "L": "DEFAULTTIME", "g": "GROUPS", "F": "NODES(A/I/O/T)", "z": "S:C:T", "w": "WEIGHT",
    "b": "ACTIVE_FEATURES", "n": "HOSTNAMES", "A": "NODES(A/I)", "E": "REASON",
}  # fmt: skip
NAMES = {
    "partition": "P", "partitionname": "R", "available": "a", "time": "l", "nodes": "D", "statecompact": "t",
    "statelong": "T", "nodelist": "N", "cpus": "c", "memory": "m", "gres": "G", "features": "f", "cpusstate": "C",
    "size": "s", "defaulttime": "L", "nodehost": "n", "nodeaistate": "A", "groups": "g",
}  # fmt: skip
SHORT_STATES = {"idle": "idle", "allocated": "alloc", "mixed": "mix", "down": "down"}
SUMS = "DNCAF"  # what a row says of all its nodes together


def main(argv: list[str], store: Store) -> int:
    """Print a row for each partition and each kind of node in it."""
    given, words = Options("sinfo", KINDS, SHORT).parse(argv)
    if words:
        fail(1, f"sinfo: error: Unrecognized option: {words[0]}")
    by_node = "Node" in given
    form = given.get("format", BY_NODE if by_node else SUMMARY if "summarize" in given else DEFAULT)
    if "Format" in given:
        form, unknown = columns.long_form(given["Format"], NAMES)
        if unknown:
            fail(1, f"sinfo: error: Invalid node format specification: {unknown[0]}")
    layout = columns.read(form)
    if "noheader" not in given:
        print(columns.line(layout, TITLES))
    config = store.config()
    taken = used(job for job in store.live() if holds(job))
    letters = [cell[0] for cell in layout[1]]
    for names, facts in rows(config, taken, given, letters, by_node):
        print(columns.line(layout, {**facts, **summed(names, config, taken)}))
    return 0


def rows(
    config: dict[str, Any], taken: dict[str, list[float]], given: dict[str, str], letters: list[str], by_node: bool
) -> list[tuple[list[str], dict[str, str]]]:
    """Nodes that look alike in the columns asked for, together with what they have in common."""
    groups: dict[tuple[str, ...], tuple[list[str], dict[str, str]]] = {}
    pairs = [(part, node) for part, found in config["partitions"].items() for node in found["nodes"]]
    if by_node:
        pairs.sort(key=lambda pair: list(config["nodes"]).index(pair[1]))
    for part, node in pairs:
        if "partition" in given and part not in given["partition"].split(","):
            continue
        if "nodes" in given and node not in node_names(given["nodes"]):
            continue
        facts = facts_of(part, node, config, taken)
        if "states" in given and not {facts["t"], facts["T"]} & set(given["states"].lower().split(",")):
            continue
        seen = [facts.get(letter, "") for letter in letters if letter not in SUMS]
        key = (part, node if by_node else "", *seen)
        groups.setdefault(key, ([], facts))[0].append(node)
    return list(groups.values())


def facts_of(part: str, node: str, config: dict[str, Any], taken: dict[str, list[float]]) -> dict[str, str]:
    """What can be said of one node in one partition."""
    partition, found = config["partitions"][part], config["nodes"][node]
    cpus = taken.get(node, [0, 0, 0])[0]
    state = "down" if node in config.get("down", []) else "idle"
    if state == "idle" and cpus:
        state = "allocated" if cpus >= found["cpus"] else "mixed"
    features = ",".join(found["features"])
    most = partition["max_nodes"] or "infinite"
    return {
        "P": part + ("*" if partition.get("default") else ""), "R": part, "a": partition["state"].lower(),
        "l": "infinite" if partition["max_time"] is None else limit(partition["max_time"], True),
        "L": "n/a" if partition["default_time"] is None else limit(partition["default_time"], True),
        "t": SHORT_STATES[state], "T": state, "c": str(found["cpus"]), "m": str(found["memory"]),
        "G": f"gpu:{found['gpu_type']}:{found['gpus']}" if found["gpus"] else "(null)",
        "f": features, "b": features, "s": f"1-{most}", "g": "all", "z": f"1:{found['cpus']}:1", "w": "1", "n": node,
        "E": "none",
    }  # fmt: skip


def summed(names: list[str], config: dict[str, Any], taken: dict[str, list[float]]) -> dict[str, str]:
    """What a row says of all its nodes together."""
    up = [name for name in names if name not in config.get("down", [])]
    down = len(names) - len(up)
    busy = sum(1 for name in up if taken.get(name, [0])[0])
    total = sum(config["nodes"][name]["cpus"] for name in names)
    other = total - sum(config["nodes"][name]["cpus"] for name in up)
    used_cpus = int(sum(taken.get(name, [0])[0] for name in up))
    return {
        "D": str(len(names)), "N": node_list(names), "A": f"{busy}/{len(up) - busy}",
        "F": f"{busy}/{len(up) - busy}/{down}/{len(names)}",
        "C": f"{used_cpus}/{total - used_cpus - other}/{other}/{total}",
    }  # fmt: skip
