"""`sbatch`: read the options, refuse what Slurm would refuse, keep a copy of the script, and hand the job over."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcjobs.testing.fake import wake
from hpcjobs.testing.fake.machine import place
from hpcjobs.testing.fake.options import FLAG, MAYBE, VALUE, Options, fail, say
from hpcjobs.testing.fake.request import ENVIRONMENT, build, refuse
from hpcjobs.testing.fake.store import SETTLED, Job, Store
from hpcjobs.testing.fake.units import day, node_list

VALUES = """account acctg-freq array begin chdir clusters comment constraint cpus-per-gpu cpus-per-task deadline
dependency error exclude export export-file extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user mem mem-bind
mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node
ntasks-per-socket open-mode output partition priority profile qos reservation signal switches time time-min tmp uid
wait-all-nodes wckey wrap distribution core-spec thread-spec tres-per-task container""".split()
FLAGS = """contiguous help hold ignore-pbs no-kill no-requeue overcommit parsable quiet reboot requeue spread-job
test-only use-min-nodes verbose version wait oversubscribe""".split()
KINDS = {**dict.fromkeys(VALUES, VALUE), **dict.fromkeys(FLAGS, FLAG), "exclusive": MAYBE, "nice": MAYBE}
SHORT = {
    "A": "account", "a": "array", "b": "begin", "D": "chdir", "M": "clusters", "C": "constraint", "c": "cpus-per-task",
    "d": "dependency", "e": "error", "x": "exclude", "G": "gpus", "h": "help", "H": "hold", "i": "input",
    "J": "job-name", "k": "no-kill", "L": "licenses", "w": "nodelist", "N": "nodes", "n": "ntasks", "o": "output",
    "O": "overcommit", "p": "partition", "q": "qos", "Q": "quiet", "s": "oversubscribe", "t": "time", "v": "verbose",
    "V": "version", "W": "wait", "F": "nodefile", "m": "distribution", "S": "core-spec", "B": "extra-node-info",
}  # fmt: skip
SOCKET = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
OPTIONS = Options("sbatch", KINDS, SHORT, unknown_code=255)


def main(argv: list[str], store: Store) -> int:
    """Submit a job; prints its number."""
    given, words = OPTIONS.parse(argv, mixed=False)
    path, text = script_of(given, words)
    options = {**header(text), **from_environment(os.environ), **given}
    config = store.config()
    refuse(options, config)
    with store.change():
        job, tasks = build(options, config, store)
        job["command"] = " ".join([str(path), *words[1:]]) if path else "(null)"
        job["args"] = words[1:]
        job["name"] = job["name"] or ("wrap" if "wrap" in given else path.name if path else "sbatch")
        if "test-only" in options:
            return would_start(job, config)
        keep(store, job, text)
        for index in tasks:
            store.save({**job, "task": index, "key": None})
        wake.controller(store)
    trouble = store.scenario()
    if store.take("timeout_after_accept"):
        fail(1, SOCKET)
    if store.take("hang_after_accept"):
        time.sleep(float(trouble.get("hang_seconds", 3600)))
    answer(job, options, config, trouble)
    return wait_for(store, job) if "wait" in options else 0


def script_of(given: Mapping[str, str], words: list[str]) -> tuple[Path | None, str]:
    """The script's path and text: a file, stdin, or what --wrap says."""
    if "wrap" in given:
        return None, f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{given['wrap']}\n"
    path = Path(words[0]).absolute() if words else None
    try:
        text = path.read_bytes() if path else sys.stdin.buffer.read()
    except OSError:
        fail(1, f"sbatch: error: Unable to open file {words[0]}")
    if not text.startswith(b"#!"):
        fail(
            1,
            "sbatch: error: This does not look like a batch script.  The first",
            "sbatch: error: line must start with #! followed by the path to an interpreter.",
            "sbatch: error: For instance: #!/bin/sh",
        )
    if b"\r\n" in text:
        fail(
            1,
            "sbatch: error: Batch script contains DOS line breaks (\\r\\n)",
            "sbatch: error: instead of expected UNIX line breaks (\\n).",
        )
    return path, text.decode(errors="surrogateescape")


def header(text: str) -> dict[str, str]:
    """The options of the #SBATCH lines, up to the first command."""
    import shlex

    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#SBATCH") and line[7:8] in (" ", "\t"):
            options, words = OPTIONS.parse(shlex.split(line[7:], comments=True))
            if words:
                fail(255, f"sbatch: error: Invalid directive found in batch script: {' '.join(words)}")
            found |= options
        elif line.strip() and not line.startswith("#"):
            break
    return found


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The options that SBATCH_ variables stand for."""
    return {name: environment[variable] for variable, name in ENVIRONMENT.items() if variable in environment}


def keep(store: Store, job: Job, text: str) -> None:
    """What a job needs later, as Slurm keeps it: a copy of the script and of the environment."""
    folder = store.spool / f"job{job['id']:05d}"
    folder.mkdir()
    (folder / "slurm_script").write_text(text, errors="surrogateescape")
    (folder / "slurm_script").chmod(0o700)
    pairs = "\0".join(f"{name}={value}" for name, value in os.environ.items())
    (folder / "environment").write_text(pairs, errors="surrogateescape")
    job["spool"] = str(folder)


def would_start(job: Job, config: Mapping[str, Any]) -> int:
    """--test-only: when and where, on stderr."""
    nodes = node_list([name for name, _ in place(job, config, {}) or []])
    when = day(time.time())
    processors = job["ntasks"] * job["cpus_per_task"]
    where = f"using {processors} processors on nodes {nodes} in partition {job['partition']}"
    say(f"sbatch: Job {job['id']} to start at {when} {where}")
    return 0


def answer(job: Job, options: Mapping[str, str], config: Mapping[str, Any], trouble: Mapping[str, Any]) -> None:
    """Say the job's number as the site does, with a banner where it has one."""
    if trouble.get("banner"):
        print(trouble["banner"])
    if "parsable" in options:
        cluster = f";{config['cluster']}" if trouble.get("cluster_in_answer") or "clusters" in options else ""
        print(f"{job['id']}{cluster}")
    elif "quiet" not in options:
        cluster = f" on cluster {config['cluster']}" if "clusters" in options else ""
        print(f"Submitted batch job {job['id']}{cluster}")
    if trouble.get("banner_after"):
        print(trouble["banner_after"])
    sys.stdout.flush()


def wait_for(store: Store, job: Job) -> int:
    """--wait: the job's exit code, the highest of an array, 1 for a job that a signal ended."""
    while True:
        tasks = store.named(job["id"])
        if all(task["state"] in SETTLED and not task["completing"] for task in tasks):
            return max(1 if task["exit_signal"] else int(task["exit_code"]) for task in tasks)
        time.sleep(0.05)
