"""`squeue`: the jobs that wait and run, and for a while those that have ended."""

import time
from typing import Any

from hpcjobs.testing.fake import columns, shown
from hpcjobs.testing.fake.machine import dialect
from hpcjobs.testing.fake.options import FLAG, MAYBE, VALUE, Options, fail
from hpcjobs.testing.fake.store import Job, Store
from hpcjobs.testing.fake.units import clock, day, limit, memory

KINDS = {
    **dict.fromkeys(("noheader", "array", "start", "long", "all", "hide", "federation", "local", "sibling",
                     "verbose", "usage", "help", "noconvert", "array-unique", "yaml", "only-job-state"), FLAG),
    **dict.fromkeys(("format", "Format", "user", "jobs", "name", "states", "partition", "account", "qos", "sort",
                     "clusters", "nodelist", "iterate", "licenses", "reservation"), VALUE),
    "me": FLAG, "steps": MAYBE, "json": MAYBE,
}  # fmt: skip
SHORT = {
    "h": "noheader", "r": "array", "l": "long", "a": "all", "o": "format", "O": "Format", "u": "user", "j": "jobs",
    "n": "name", "t": "states", "p": "partition", "A": "account", "q": "qos", "S": "sort", "M": "clusters",
    "w": "nodelist", "s": "steps", "i": "iterate", "v": "verbose", "U": "user", "L": "licenses", "R": "reservation",
}  # fmt: skip
ADDED = {"me": (20, 11), "only-job-state": (23, 11)}
DEFAULT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
START = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
TITLES = {
    "i": "JOBID", "A": "JOBID", "F": "ARRAY_JOB_ID", "K": "ARRAY_TASK_ID", "T": "STATE", "t": "ST", "r": "REASON",
    "R": "NODELIST(REASON)", "S": "START_TIME", "e": "END_TIME", "L": "TIME_LEFT", "l": "TIME_LIMIT", "M": "TIME",
    "V": "SUBMIT_TIME", "N": "NODELIST", "j": "NAME", "P": "PARTITION", "u": "USER", "U": "UID", "D": "NODES",
    "C": "CPUS", "m": "MIN_MEMORY", "Q": "PRIORITY", "a": "ACCOUNT", "q": "QOS", "B": "EXEC_HOST", "k": "COMMENT",
    "p": "PRIORITY", "v": "RESERVATION", "b": "TRES_PER_NODE", "E": "DEPENDENCY", "Z": "WORK_DIR", "o": "COMMAND",
    "Y": "SCHEDNODES", "f": "FEATURES", "c": "MIN_CPUS",
}  # fmt: skip
NAMES = {
    "jobid": "A", "jobarrayid": "i", "arrayjobid": "F", "arraytaskid": "K", "state": "T", "statecompact": "t",
    "reason": "r", "reasonlist": "R", "starttime": "S", "endtime": "e", "timeleft": "L", "timelimit": "l",
    "timeused": "M", "submittime": "V", "nodelist": "N", "name": "j", "partition": "P", "username": "u",
    "userid": "U", "numnodes": "D", "numcpus": "C", "minmemory": "m", "priority": "p", "prioritylong": "Q",
    "account": "a", "qos": "q", "batchhost": "B", "comment": "k", "dependency": "E", "workdir": "Z", "command": "o",
    "tres-per-node": "b", "feature": "f",
}  # fmt: skip


def main(argv: list[str], store: Store) -> int:
    """Print the jobs asked for, a line each."""
    config = store.config()
    kinds = {name: kind for name, kind in KINDS.items() if dialect(config) >= ADDED.get(name, (0, 0))}
    given, words = Options("squeue", kinds, SHORT).parse(argv)
    if words:
        fail(1, f"squeue: error: Unrecognized option: {words[0]}")
    form = given.get("format", START if "start" in given else DEFAULT)
    if "Format" in given:
        form, unknown = columns.long_form(given["Format"], NAMES)
        if unknown:
            fail(1, f"squeue: error: Invalid job format specification: {unknown[0]}")
    states = states_asked(given)
    found = known(store, config, given)
    jobs = [job for job in found if fits(job, given, states)]
    layout = columns.read(form)
    if "noheader" not in given:
        print(columns.line(layout, TITLES))
    scenario = store.scenario()
    merged = "array" not in given
    groups = shown.collapsed(jobs) if merged else [[job] for job in jobs]
    groups.sort(
        key=lambda group: (group[0]["partition"], shown.COMPACT[plain(group[0])], group[0]["id"], group[0]["key"])
    )
    for group in groups:
        print(columns.line(layout, values(group, merged and shown.together(group[0]), scenario)))
    return 0


def plain(job: Job) -> str:
    return shown.state(job, {})


def states_asked(given: dict[str, str]) -> set[str]:
    """Which states are to be shown; an empty set for all."""
    text = given.get("states", "PENDING,RUNNING,COMPLETING,CONFIGURING,SUSPENDED,REQUEUED")
    if text.lower() == "all":
        return set()
    words = [word.strip() for word in text.split(",")]
    states = {word: shown.LONG.get(word.upper(), word.upper()) for word in words}
    for word, state in states.items():
        if state not in shown.COMPACT:
            valid = f"squeue: error: Valid job states include: {','.join(shown.COMPACT)}"
            fail(1, f"squeue: error: Invalid job state specified: {word}", valid)
    return set(states.values())


def known(store: Store, config: dict[str, Any], given: dict[str, str]) -> list[Job]:
    """The jobs the controller still knows, of the numbers asked for."""
    oldest = time.time() - config["min_job_age"]
    if "jobs" not in given:
        return [job for job in store.jobs() if not job["end"] or job["end"] > oldest]
    try:
        wanted = shown.wanted_ids(given["jobs"])
    except ValueError as wrong:
        fail(1, f"squeue: error: Invalid job id: {wrong}")
    jobs: dict[int, Job] = {}
    for number, _ in wanted:
        jobs |= {job["key"]: job for job in store.named(number) if not job["end"] or job["end"] > oldest}
    if not jobs and len(wanted) == 1:  # Slurm complains only where a single job is asked for
        fail(1, "slurm_load_jobs error: Invalid job id specified")
    return [job for job in jobs.values() if shown.is_one_of(job, wanted)]


def fits(job: Job, given: dict[str, str], states: set[str]) -> bool:
    """Whether a job is among those asked for."""
    if states and plain(job) not in states:
        return False
    lists = {"user": (job["user"], str(job["uid"])), "name": (job["name"],), "partition": (job["partition"],),
             "account": (job["account"],), "qos": (job["qos"],)}  # fmt: skip
    for option, values in lists.items():
        if option in given and not set(values) & set(given[option].split(",")):
            return False
    if "me" in given:
        from hpcjobs.testing.fake.request import user_name

        return str(job["user"]) == user_name()
    return "start" not in given or job["state"] == "PENDING"


def values(group: list[Job], merged: bool, scenario: dict[str, Any]) -> dict[str, str]:
    """What stands in the column of each letter, for one job or the tasks of an array that wait together."""
    job = group[0]
    state = shown.state(job, scenario)
    left = "UNLIMITED" if job["limit"] is None else clock(max(job["limit"] * job["minute"] - shown.ran(job), 0), True)
    return {
        "i": shown.waiting_tasks(group) if merged else shown.number(job),
        "A": str(job["id"]), "F": str(job["array_id"] or job["id"]),
        "K": "N/A" if job["task"] is None else shown.indices(group) if merged else str(job["task"]),
        "T": state, "t": shown.COMPACT.get(state, state[:2]), "r": job["reason"],
        "R": f"({job['reason']})" if job["state"] == "PENDING" or job["reason"] != "None" else shown.nodes(job),
        "S": day(shown.starts(job), "N/A"),
        "e": day(shown.ends(job), "N/A"),
        "L": left if job["start"] else limit(job["limit"], True), "l": limit(job["limit"], True),
        "M": clock(shown.ran(job), True), "V": day(job["submit"]), "N": shown.nodes(job), "j": job["name"],
        "P": job["partition"], "u": job["user"], "U": str(job["uid"]), "D": str(shown.node_count(job)),
        "C": str(shown.cpu_count(job)), "m": memory(job["mem_per_node"] or job["mem_per_cpu"] or 2000),
        "Q": str(shown.priority(job)), "p": "0.99998", "a": job["account"] or "(null)",
        "q": job["qos"], "B": (job["nodes"] or ["n/a"])[0], "k": job["comment"] or "(null)", "v": "(null)",
        "b": f"gres:gpu:{job['gpus_per_node']}" if job["gpus_per_node"] else "N/A", "Y": "(null)",
        "E": job["dependency"] or "(null)", "Z": job["workdir"], "o": job["command"],
        "f": job["constraint"] or "(null)", "c": str(job["cpus_per_task"]),
    }  # fmt: skip
