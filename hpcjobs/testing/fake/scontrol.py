"""`scontrol`: show jobs, partitions, nodes and the configuration; hold, release, requeue and change jobs."""

import os
import sys
import time
from typing import Any

from hpcjobs.testing.fake import shown, wake
from hpcjobs.testing.fake.ending import again
from hpcjobs.testing.fake.options import FLAG, VALUE, Options, fail
from hpcjobs.testing.fake.showing import configuration, described, node, partition
from hpcjobs.testing.fake.store import SETTLED, Job, Store
from hpcjobs.testing.fake.units import minutes, node_list, node_names

KINDS = {**dict.fromkeys(("oneliner", "all", "quiet", "details", "verbose", "hide"), FLAG), "clusters": VALUE}
SHORT = {"o": "oneliner", "a": "all", "Q": "quiet", "d": "details", "v": "verbose", "M": "clusters"}
UNKNOWN = "Invalid job id specified"


def main(argv: list[str], store: Store) -> int:
    """Obey one of scontrol's words."""
    given, words = Options("scontrol", KINDS, SHORT).parse(argv)
    word = words[0] if words else ""
    actions = {"requeue": requeue, "hold": hold, "uhold": hold, "release": release, "requeuehold": requeue}
    if word == "show" and len(words) > 1:
        return show(words[1], words[2:], "oneliner" in given, store)
    if word == "ping":
        print(f"Slurmctld(primary) at {os.uname().nodename} is UP")
        return 0
    if word == "update":
        return update(words[1:], store)
    if word in actions and len(words) > 1:
        return change(words[1:], actions[word], store)
    fail(1, f"invalid keyword: {word}")


def show(what: str, names: list[str], one_line: bool, store: Store) -> int:
    """Print jobs, partitions, nodes, the configuration, or the names in a list of nodes."""
    config = store.config()
    if what in ("hostnames", "hostname"):
        print("\n".join(node_names(names[0] if names else os.environ.get("SLURM_JOB_NODELIST", ""))))
        return 0
    if what in ("hostlist", "hostlistsorted"):
        print(node_list(names[0].split(",")))
        return 0
    if what.startswith("config"):
        print("\n".join(f"{name:<23} = {value}" for name, value in configuration(config).items()))
        return 0
    if what.startswith("job"):
        lines = [described(tasks, store, config) for tasks in asked(names, store)]
    elif what.startswith("part"):
        lines = [partition(name, config) for name in config["partitions"] if not names or name in names]
    elif what.startswith("node"):
        lines = [node(name, config, store) for name in config["nodes"] if not names or name in node_names(names[0])]
    else:
        fail(1, f"invalid entity:{what} for keyword:show ")
    if not lines:
        fail(1, f"{'Partition' if what.startswith('part') else 'Node'} {''.join(names)} not found")
    for fields in lines:
        print((" " if one_line else "\n   ").join(fields) + ("" if one_line else "\n"))
    sys.stdout.flush()
    return 0


def asked(names: list[str], store: Store) -> list[list[Job]]:
    """The jobs that `show job` means; the waiting tasks of an array together."""
    oldest = time.time() - store.config()["min_job_age"]
    if not names:
        return shown.collapsed([job for job in store.jobs() if not job["end"] or job["end"] > oldest])
    try:
        wanted = shown.wanted_ids(names[0])
    except ValueError:
        fail(1, f"Invalid job ID {names[0]}")
    jobs = [job for number, _ in wanted for job in store.named(number)]
    jobs = [job for job in jobs if shown.is_one_of(job, wanted) and (not job["end"] or job["end"] > oldest)]
    if not jobs:
        fail(1, f"slurm_load_jobs error: {UNKNOWN}")
    return shown.collapsed(jobs)


def change(names: list[str], action: Any, store: Store) -> int:
    """Do something with jobs; each number that nobody has is named."""
    try:
        wanted = shown.wanted_ids(",".join(names))
    except ValueError as wrong:
        fail(1, f"Invalid job id specified for job {wrong}")
    code = 0
    with store.change():
        for number, tasks in wanted:
            jobs = [job for job in store.named(number) if shown.is_one_of(job, [(number, tasks)])]
            if not jobs:
                print(f"{UNKNOWN} for job {number}", file=sys.stderr)
                code = 1
            for job in jobs:
                complaint = action(job, store)
                if complaint:
                    print(f"{complaint} for job {number}", file=sys.stderr)
                    code = 1
                store.save(job)
        wake.controller(store)
    return code


def requeue(job: Job, store: Store) -> str:
    """Back into the queue, whether it runs, was cancelled or has ended."""
    if job["interactive"]:
        return "Requested operation is presently disabled"
    if job["state"] == "PENDING":
        return "Job is pending execution"
    if job["state"] in SETTLED and not job["completing"]:
        again(job, store.config())
    else:
        job["requests"].append({"what": "requeue"})
        job |= {"completing": True, "end": job["end"] or time.time()}
    return ""


def hold(job: Job, _: Store) -> str:
    if job["state"] == "PENDING":
        job |= {"held": True, "reason": "JobHeldUser"}
        return ""
    return "Job is no longer pending execution"


def release(job: Job, _: Store) -> str:
    if job["state"] == "PENDING":
        job |= {"held": False, "reason": job["stuck"] or "None"}
    return ""


def update(words: list[str], store: Store) -> int:
    """`update JobId=12 TimeLimit=10`; what else is settable is taken as it comes."""
    given = {name.lower(): value for name, _, value in (word.partition("=") for word in words)}
    settable = {"partition": "partition", "jobname": "name", "name": "name", "comment": "comment", "account": "account",
                "qos": "qos", "dependency": "dependency"}  # fmt: skip

    def apply(job: Job, _: Store) -> str:
        for name, value in given.items():
            if name == "timelimit":
                job["limit"] = minutes(value)
                job["stuck"] = "" if job["stuck"] == "PartitionTimeLimit" else job["stuck"]
            elif name in settable:
                job[settable[name]] = value
            elif name != "jobid":
                fail(1, f"Invalid input: {name}={value}", "Request aborted")
        return ""

    return change([given.get("jobid", "")], apply, store)
