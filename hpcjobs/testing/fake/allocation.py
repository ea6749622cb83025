"""Nodes for an `srun` that no job surrounds."""

import os
import time

from hpcjobs.testing.fake import wake
from hpcjobs.testing.fake.options import fail, say
from hpcjobs.testing.fake.request import build, refuse
from hpcjobs.testing.fake.starting import environment
from hpcjobs.testing.fake.store import SETTLED, Store


def allocate(given: dict[str, str], command: list[str], store: Store) -> tuple[int, dict[str, str]]:
    """Wait for nodes; returns the job's number and the environment of its steps."""
    config = store.config()
    refuse(given, config)
    with store.change():
        job, _ = build(given, config, store)
        job |= {"interactive": True, "command": command[0], "srun": [os.getpid(), wake.started(os.getpid())]}
        job["name"] = given.get("job-name", command[0].rpartition("/")[2])
        job["requeue"] = False
        store.save(job)
        wake.controller(store)
    told = False
    while True:
        job = store.named(job["id"])[0]
        if job["state"] == "RUNNING":
            break
        if job["state"] in SETTLED:
            fail(1, f"srun: error: Unable to allocate resources: Job {job['id']} was cancelled")
        if not told and time.time() - job["submit"] > 1:
            say(f"srun: job {job['id']} queued and waiting for resources")
            told = True
        time.sleep(0.02)
    if told:
        say(f"srun: job {job['id']} has been allocated resources")
    return int(job["id"]), {**os.environ, **environment(job, config, store.folder)}
