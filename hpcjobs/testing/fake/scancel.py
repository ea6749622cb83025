"""`scancel`: end jobs, or send them signals."""

import os
import signal
import time

from hpcjobs.testing.fake import shown, wake
from hpcjobs.testing.fake.options import FLAG, VALUE, Options, fail
from hpcjobs.testing.fake.store import SETTLED, Job, Store

KINDS = {
    **dict.fromkeys(("batch", "full", "hurry", "interactive", "quiet", "verbose", "ctld", "cron", "me"), FLAG),
    **dict.fromkeys(("signal", "name", "jobname", "user", "state", "partition", "account", "qos", "nodelist",
                     "reservation", "wckey", "clusters"), VALUE),
}  # fmt: skip
SHORT = {
    "b": "batch", "f": "full", "H": "hurry", "i": "interactive", "Q": "quiet", "v": "verbose", "s": "signal",
    "n": "name", "u": "user", "t": "state", "p": "partition", "A": "account", "q": "qos", "w": "nodelist",
    "R": "reservation", "M": "clusters",
}  # fmt: skip
FILTERS = ("name", "jobname", "user", "state", "partition", "account", "qos", "me")


def main(argv: list[str], store: Store) -> int:
    """Cancel or signal every job that is meant."""
    given, words = Options("scancel", KINDS, SHORT).parse(argv)
    if not words and not any(name in given for name in FILTERS):
        fail(1, "scancel: error: No job identification provided")
    try:
        wanted = shown.wanted_ids(",".join(words))
    except ValueError as wrong:
        fail(1, f"scancel: error: Invalid job id {wrong}")
    number = signal_number(given["signal"]) if "signal" in given else 0
    with store.change():
        for job in store.live():
            if (not wanted or shown.is_one_of(job, wanted)) and fits(job, given):
                strike(job, number, given)
                store.save(job)
        wake.controller(store)
    return 0  # a number that nobody has is no error for Slurm


def fits(job: Job, given: dict[str, str]) -> bool:
    """Whether the filters let a job through."""
    facts = {"name": job["name"], "jobname": job["name"], "user": job["user"], "partition": job["partition"],
             "account": job["account"], "qos": job["qos"]}  # fmt: skip
    if "state" in given:
        asked = given["state"].upper()
        if job["state"] != shown.LONG.get(asked, asked):
            return False
    return all(given[name] in (value, str(job["uid"]) if name == "user" else value)
               for name, value in facts.items() if name in given)  # fmt: skip


def strike(job: Job, number: int, given: dict[str, str]) -> None:
    """What becomes of one job."""
    if number and number != signal.SIGKILL:
        if job["state"] == "RUNNING":
            batch = "only" if "batch" in given else ""
            job["requests"].append({"what": "signal", "number": number, "batch": batch, "full": "full" in given})
        return
    if job["state"] == "PENDING":
        job |= {"state": "CANCELLED", "end": time.time(), "ended_by": os.getuid(), "reason": "None"}
    elif job["state"] not in SETTLED and not job["completing"]:
        job["requests"].append({"what": "cancel", "uid": os.getuid()})
        # From now on everyone sees it end, though the controller has yet to ask its processes.
        job |= {"state": "CANCELLED", "completing": True, "end": time.time(), "ended_by": os.getuid()}


def signal_number(text: str) -> int:
    """10 of USR1, SIGUSR1 or 10."""
    if text.isdigit():
        return int(text)
    name = text.upper()
    found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if found is None:
        fail(1, f"scancel: error: Unknown job signal: {text}")
    return int(found)
