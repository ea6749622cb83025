"""The file system where the runs lie: its kind, what is free, how fast it writes, whether a rename replaces."""

import getpass
import os
import re
import shlex
import time
from pathlib import Path

from hpcjobs.data.publish import publish, publish_bytes, write_at
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Finding, Machine
from hpcjobs.launch.doctor._folder import aside
from hpcjobs.launch.setup.probing import scratch
from hpcjobs.launch.slurm.command import available

PLACE = 80
MIB = 2**20
GIB = 2**30
NO_SPACE, LITTLE_SPACE = GIB, 10 * GIB
NO_FILES, FEW_FILES = 100, 10_000
PASSING = ("tmpfs", "ramfs")  # in memory
ONE_HOST = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "overlay", *PASSING)
PIECES_MIB = (1, 3, 12, 48)  # 64 in all
MEASURE_S = 2.0
SLOW_MIB_S = 50.0


def space(machine: Machine) -> Finding:
    """Kind of the file system, bytes and files left."""
    disk = os.statvfs(machine.folder)
    files = disk.f_favail if disk.f_files else None
    kind = kind_of(machine.text("proc/self/mountinfo"), machine.folder.resolve())
    return judge_space(machine.folder, kind, disk.f_bavail * disk.f_frsize, files, cluster=available())


def kind_of(mountinfo: str, folder: Path) -> str:
    """The type of the file system that a folder lies on: of the innermost mount, and of the last one there."""
    best, kind = -1, "unknown"
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), after.split()[0]
    return kind


def judge_space(folder: Path, kind: str, free: int, files: int | None, *, cluster: bool) -> Finding:
    """The verdict on a file system."""
    count = "" if files is None else f" and for {files} files"
    found = f"{folder}: {kind}, room for {free / GIB:.1f} GiB{count}"
    other = elsewhere(folder)
    if free < NO_SPACE or (files is not None and files < NO_FILES):
        return Finding(PROBLEM, f"{found}: full", other)
    if free < LITTLE_SPACE or (files is not None and files < FEW_FILES):
        return Finding(WARNING, f"{found}: nearly full", other)
    if kind in PASSING:
        return Finding(WARNING, f"{found}: it lies in memory, and is gone when the machine starts again", other)
    if cluster and kind in ONE_HOST:
        return Finding(WARNING, f"{found}: a file system of this host, which nodes may not see", other)
    return Finding(OK, found)


def elsewhere(folder: Path) -> str:
    """How to put runs into another place: the first scratch folder that there is."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = ""
    places = [place.path for place in scratch(user) if not folder.is_relative_to(place.path)]
    return f"export HPCJOBS_RUNS={shlex.quote(places[0]) if places else '/a/folder/with/room'}"


def speed(machine: Machine) -> Finding:
    """Write and fsync of up to 64 MiB that cannot be compressed, in about two seconds."""
    with aside(machine.folder) as place, publish(place / "speed", durable=False) as temporary:
        size, seconds = measure(temporary)
    return judge_speed(machine.folder, size, seconds)


def measure(path: Path) -> tuple[int, float]:
    """Bytes and seconds of the largest piece that the time allows; each piece is predicted from the one before."""
    noise = memoryview(os.urandom(MIB))
    began, offset, size, took = time.perf_counter(), 0, 0, 0.0
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for count in PIECES_MIB:
            start = time.perf_counter()
            if size and start - began + took * count * MIB / size > MEASURE_S:
                break
            for number in range(count):
                write_at(descriptor, offset + number * MIB, noise)
            os.fsync(descriptor)
            size, took = count * MIB, time.perf_counter() - start
            offset += size
    finally:
        os.close(descriptor)
    return size, took


def judge_speed(folder: Path, size: int, seconds: float) -> Finding:
    """The verdict on a measured speed."""
    rate = size / MIB / max(seconds, 1e-6)
    found = f"{rate:.0f} MiB/s to the disk ({size // MIB} MiB with fsync)"
    if rate < SLOW_MIB_S:
        return Finding(WARNING, f"{found}: checkpoints of large runs will take long", elsewhere(folder))
    return Finding(OK, found)


def rename(machine: Machine) -> Finding:
    """A file of ours replaces one of the same name: a reader keeps the old one whole, and the next gets the new."""
    with aside(machine.folder) as place:
        path = place / "replaced"
        publish_bytes(path, b"old")
        with path.open("rb") as reader:
            publish_bytes(path, b"new")
            kept = reader.read()
        now, left = path.read_bytes(), [one.name for one in place.iterdir()]
    if (kept, now, left) == (b"old", b"new", ["replaced"]):
        return Finding(OK, "replaces a file that is being read")
    why = f"a rename does not replace as it should: the reader got {kept!r}, the next {now!r}, left are {left}"
    return Finding(PROBLEM, why, elsewhere(machine.folder))


CHECKS = {"run folder": space, "write speed": speed, "rename": rename}
