"""How Slurm writes times, sizes, ranges of numbers and lists of nodes."""

import re
import time

UNLIMITED = ("UNLIMITED", "INFINITE", "-1")
DAYTIME = "%Y-%m-%dT%H:%M:%S"
SIZES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def minutes(text: str) -> float | None:
    """A time limit in minutes: minutes, min:sec, h:m:s, d-h, d-h:m or d-h:m:s; None for no limit."""
    if text.upper() in UNLIMITED:
        return None
    if not re.fullmatch(r"(\d+-\d+(:\d+){0,2})|(\d+(:\d+){0,2})", text):
        raise ValueError(text)
    days, dash, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if dash:
        hours, mins, secs = [*parts, 0, 0][:3]
        return int(days) * 1440 + hours * 60 + mins + secs / 60
    if len(parts) == 3:
        return parts[0] * 60 + parts[1] + parts[2] / 60
    return parts[0] + (parts[1] / 60 if len(parts) == 2 else 0)


def clock(seconds: float, short: bool = False) -> str:
    """Seconds as [days-]HH:MM:SS; `short` as squeue writes them, 0:07."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    hours, mins, secs = rest // 3600, rest // 60 % 60, rest % 60
    if days:
        return f"{days}-{hours:02}:{mins:02}:{secs:02}"
    if not short:
        return f"{hours:02}:{mins:02}:{secs:02}"
    return f"{hours}:{mins:02}:{secs:02}" if hours else f"{mins}:{secs:02}"


def limit(mins: float | None, short: bool = False) -> str:
    """A time limit in words of Slurm's."""
    return "UNLIMITED" if mins is None else clock(mins * 60, short)


def day(moment: float | None, absent: str = "Unknown") -> str:
    """A moment as Slurm prints it, in local time."""
    return absent if not moment else time.strftime(DAYTIME, time.localtime(moment))


def moment(text: str, now: float) -> float:
    """What --begin, --starttime and --endtime take: a date, now, now+30, now+1hour, now-2days, today."""
    if text in ("now", "today", "midnight"):
        return now if text == "now" else now - now % 86400
    added = re.fullmatch(r"now([+-])(\d+)(sec\w*|min\w*|hour\w*|day\w*|week\w*)?", text)
    if added:
        unit = (added[3] or "seconds")[0]
        length = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
        return now + int(added[2]) * length * (1 if added[1] == "+" else -1)
    for shape in (DAYTIME, "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%m/%d/%y", "%m%d%y"):
        try:
            return time.mktime(time.strptime(text, shape))
        except ValueError:
            continue
    raise ValueError(text)


def megabytes(text: str) -> float:
    """A size of memory in MiB: 500, 500M, 2G."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text, re.IGNORECASE)
    if not found:
        raise ValueError(text)
    return float(found[1]) * SIZES[(found[2] or "M").upper()]


def memory(mib: float) -> str:
    """MiB as Slurm prints them: 500M, 2G, 1.50G."""
    if mib < 1024:
        return f"{mib:g}M"
    return f"{mib / 1024:g}G" if mib % 1024 == 0 else f"{mib:g}M"


def numbers(text: str) -> list[int]:
    """The numbers of 0-3,7,10-20:5, in order; ValueError for anything else."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])) or match[3] == "0":
            raise ValueError(text)
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1)))
    return sorted(found)


def ranges(values: list[int]) -> str:
    """0-3,7 of [0, 1, 2, 3, 7]."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def node_list(names: list[str]) -> str:
    """node[1-2],gpu1 of [node1, node2, gpu1]."""
    groups: dict[str, list[int]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        groups.setdefault(stem, []).append(int(name[len(stem) :] or 0))
    texts = [f"{stem}{found[0]}" if len(found) == 1 else f"{stem}[{ranges(found)}]" for stem, found in groups.items()]
    return ",".join(texts)


def node_names(text: str) -> list[str]:
    """[node1, node2, gpu1] of node[1-2],gpu1."""
    names: list[str] = []
    for stem, inside in re.findall(r"([^,\[\]]+)(?:\[([^\]]*)\])?", text):
        names += [f"{stem}{number}" for number in numbers(inside)] if inside else [stem]
    return names


def task_counts(tasks: list[int]) -> str:
    """2(x3),1 of [2, 2, 2, 1]."""
    runs: list[list[int]] = []
    for count in tasks:
        if runs and runs[-1][0] == count:
            runs[-1][1] += 1
        else:
            runs.append([count, 1])
    return ",".join(str(count) if times == 1 else f"{count}(x{times})" for count, times in runs)
