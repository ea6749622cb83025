"""The clock of this machine, and that of the file system: leases and times of jobs are told by them."""

import os
import re
import shutil
import time
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import hpcjobs
from hpcjobs.data.publish import publish_bytes
from hpcjobs.launch import child
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Finding, Machine
from hpcjobs.launch.doctor._folder import aside

PLACE = 90
ASK_S = 10.0
DAY_S = 86400.0
NOTICEABLE_S, HARMFUL_S = 2.0, 60.0  # a lease is given up after three minutes of silence
TIMEDATECTL = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
CHRONYC = ["chronyc", "-n", "tracking"]
SYNCHRONISE = "sudo timedatectl set-ntp true"


def of_files(machine: Machine) -> Finding:
    """What time the file system stamps on a file, against ours."""
    with aside(machine.folder) as place:
        path = place / "stamp"
        publish_bytes(path, b"")
        before = time.time()
        os.utime(path)  # the server's time, also where the client caches what it writes
        stamp, after = path.stat().st_mtime, time.time()
    return judge_offset(0.0 if before - 1 <= stamp <= after + 1 else stamp - (before + after) / 2)


def judge_offset(seconds: float) -> Finding:
    """The verdict on the clock of the file system, so many seconds ahead of ours."""
    if abs(seconds) <= NOTICEABLE_S:
        return Finding(OK, "the file system has our time")
    way = "ahead of" if seconds > 0 else "behind"
    verdict = PROBLEM if abs(seconds) > HARMFUL_S else WARNING
    why = f"the file system's clock is {abs(seconds):.0f} s {way} this machine's: who is alive is told by both"
    return Finding(verdict, why, SYNCHRONISE)


def of_machine(machine: Machine) -> Finding:
    """Time, time zone, and whether the clock is kept right."""
    installed = Path(hpcjobs.__file__).stat().st_mtime
    return judge_clock(time.time(), installed, machine.environment.get("TZ", ""), synchronised())


def judge_clock(now: float, installed: float, zone: str, kept: bool | None) -> Finding:
    """The verdict on a clock; `installed` is when hpcjobs came here, `kept` is None where nobody tells."""
    found = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < installed - DAY_S:
        return Finding(PROBLEM, f"{found}: that is before hpcjobs was installed", SYNCHRONISE)
    if not zone_is_known(zone):
        return Finding(WARNING, f"{found}; TZ={zone} is no time zone known here: local times are wrong", "unset TZ")
    if kept is False:
        return Finding(WARNING, f"{found}, not synchronised with a time server", SYNCHRONISE)
    return Finding(OK, f"{found}, {'synchronised' if kept else 'whether it is synchronised is not told'}")


def zone_is_known(name: str) -> bool:
    """Whether the C library makes something of TZ: a name, a file, or rules such as CET-1CEST."""
    name = name.removeprefix(":")
    if not name or name.startswith("/") or re.match(r"(<[^>]+>|[A-Za-z]{3,})[+-]?\d", name):
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def synchronised() -> bool | None:
    """What systemd or chrony says; None where neither does."""
    if shutil.which(TIMEDATECTL[0]):
        said = child.run(TIMEDATECTL, ASK_S).out.strip()
        if said in ("yes", "no"):
            return said == "yes"
    if shutil.which(CHRONYC[0]):
        answer = child.run(CHRONYC, ASK_S)
        status = re.search(r"^Leap status\s*:\s*(.+)$", answer.out, re.MULTILINE)
        if answer.code == 0 and status:
            return status[1].strip().lower() != "not synchronised"
    return None


CHECKS = {"file clock": of_files, "clock": of_machine}
