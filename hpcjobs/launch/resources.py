"""What a job asks of the cluster: a closed grammar of options, each of a type, that become arguments of sbatch."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from hpcjobs.errors import SettingsError, nearest
from hpcjobs.settings import setting

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*"
NAMES = rf"{NAME}(,{NAME})*"
GPUS = r"([A-Za-z0-9_][A-Za-z0-9_.-]*:)?[1-9][0-9]*"
MEMORY = r"[0-9]+[KMGT]?"
TIME = r"[0-9]+|[0-9]+:[0-5]?[0-9](:[0-5]?[0-9])?|[0-9]+-[0-9]{1,2}(:[0-5]?[0-9]){0,2}"
JOBS = r"[0-9]+(_[0-9]+)?(\+[0-9]+)?(:[0-9]+(_[0-9]+)?(\+[0-9]+)?)*"
DEPENDENCY = rf"singleton|(after|afterany|afterok|afternotok|aftercorr):{JOBS}"
# Other options of sbatch that may be handed through, and what their values may look like ("" takes none).
WORDS = r"[A-Za-z0-9_][A-Za-z0-9_.,:=@+*&|()\[\]/%-]*"
PASSED = {
    "begin": WORDS, "bb": WORDS, "comment": r"[A-Za-z0-9_][A-Za-z0-9_.,:=@+/ -]*",
    "contiguous": "", "core-spec": "[0-9]+", "cores-per-socket": "[0-9]+", "cpu-freq": WORDS, "deadline": WORDS,
    "delay-boot": WORDS, "distribution": WORDS, "exclude": WORDS, "extra-node-info": WORDS, "gpu-bind": WORDS,
    "gpu-freq": WORDS, "gpus": GPUS, "gpus-per-task": GPUS, "gres": WORDS, "gres-flags": WORDS, "hint": WORDS,
    "hold": "", "kill-on-invalid-dep": "yes|no", "licenses": WORDS, "mail-type": NAMES,
    "mail-user": r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", "mem-bind": WORDS, "mem-per-gpu": MEMORY, "mincpus": "[0-9]+",
    "network": WORDS, "nice": "[0-9]*", "nodelist": WORDS, "no-requeue": "", "ntasks-per-core": "[0-9]+",
    "ntasks-per-gpu": "[0-9]+", "ntasks-per-socket": "[0-9]+", "overcommit": "", "oversubscribe": "",
    "prefer": WORDS, "power": WORDS, "priority": "[0-9]+", "profile": WORDS, "reboot": "",
    "signal": r"B:USR1(@[0-9]+)?",
    "sockets-per-node": "[0-9]+", "spread-job": "", "switches": WORDS, "threads-per-core": "[0-9]+",
    "time-min": TIME, "tmp": MEMORY, "use-min-nodes": "", "wckey": NAME,
}  # fmt: skip
OURS = "hpcjobs sets it itself"
FORBIDDEN = {
    "array": "use --sweep", "batch": OURS, "clusters": "submit from a login node of that one",
    "chdir": OURS, "error": OURS, "export": "set variables in site.sh",
    "export-file": "set variables in site.sh", "gid": "it is for root", "input": OURS, "job-name": "use --name",
    "open-mode": OURS, "output": OURS, "parsable": OURS, "requeue": OURS, "test-only": "use --dry-run --test-only",
    "uid": "it is for root", "wait": "use hpcjobs wait", "wrap": OURS,
}  # fmt: skip
ONCE = ("begin", "deadline", "hold", "kill-on-invalid-dep")
MEMORY_OPTIONS = ("mem", "mem-per-cpu", "mem-per-gpu")
GPU_OPTIONS = ("gpus-per-node", "gpus", "gpus-per-task", "gres")
MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What sbatch is asked for; what is None is left to the script and the site."""

    nodes: Annotated[int | None, setting("nodes", ge=1)] = None
    ntasks: Annotated[int | None, setting("ranks in all", ge=1)] = None
    ntasks_per_node: Annotated[int | None, setting("ranks on each node", ge=1)] = None
    cpus_per_task: Annotated[int | None, setting("cores of each rank", ge=1)] = None
    gpus_per_node: Annotated[str | None, setting("GPUs on each node: 4 or a100:4")] = None
    mem: Annotated[str | None, setting("memory of each node: 500M, 40G; 0: all of it")] = None
    mem_per_cpu: Annotated[str | None, setting("memory of each core, in place of --mem")] = None
    time: Annotated[str | None, setting("time limit: minutes, H:M:S or D-H:M:S")] = None
    partition: Annotated[str | None, setting("partition, or several with commas")] = None
    account: Annotated[str | None, setting("account to charge")] = None
    qos: Annotated[str | None, setting("quality of service")] = None
    reservation: Annotated[str | None, setting("reservation to run in")] = None
    constraint: Annotated[str | None, setting("features that nodes must have")] = None
    dependency: Annotated[str | None, setting("jobs to wait for: afterok:123, singleton ...")] = None
    exclusive: Annotated[bool, setting("nodes of one's own")] = False
    sbatch_arg: Annotated[tuple[str, ...], setting("another option of sbatch, as --sbatch-arg=--option=value")] = ()

    @property
    def ranks(self) -> int:
        """How many ranks these ask for."""
        return self.ntasks or (self.nodes or 1) * (self.ntasks_per_node or 1)

    @property
    def least_nodes(self) -> int:
        """How many nodes these need at least."""
        if self.nodes:
            return self.nodes
        return -(-self.ntasks // self.ntasks_per_node) if self.ntasks and self.ntasks_per_node else 1

    @property
    def ranks_per_node(self) -> int:
        """How many ranks share a node, as far as these say."""
        return self.ntasks_per_node or -(-self.ranks // self.least_nodes)

    def node_memory_mib(self) -> float | None:
        """Memory of one node in MiB; None when it is left to the site, or all of the node."""
        if self.mem:
            return mebibytes(self.mem) or None
        if self.mem_per_cpu:
            return mebibytes(self.mem_per_cpu) * self.ranks_per_node * (self.cpus_per_task or 1) or None
        return None


FORMS = {
    "gpus_per_node": (GPUS, "a number, or TYPE:NUMBER, such as 4 or a100:4"),
    "mem": (MEMORY, "a number with K, M, G or T, such as 40G"),
    "mem_per_cpu": (MEMORY, "a number with K, M, G or T, such as 4G"),
    "time": (TIME, "minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S, such as 02:30:00"),
    "partition": (NAMES, "a name, or several with commas"),
    "account": (NAME, "a name of letters, digits and _ . @ + -"),
    "qos": (NAME, "a name of letters, digits and _ . @ + -"),
    "reservation": (NAMES, "a name, or several with commas"),
    "constraint": (r"[A-Za-z0-9_(\[][A-Za-z0-9_.,:&|*()\[\]-]*", "features joined by & | ,"),
    "dependency": (rf"({DEPENDENCY})([,?]({DEPENDENCY}))*", "such as afterok:123:124, aftercorr:125 or singleton"),
}


def checked(resources: Resources) -> Resources:
    """The same resources; SettingsError names the first option that sbatch could misread."""
    for name, (form, expected) in FORMS.items():
        value = getattr(resources, name)
        if value is not None and not re.fullmatch(form, value, re.ASCII):
            raise SettingsError(f"--{name.replace('_', '-')} is {value!r}: expected {expected}")
    given = [*_named(resources), *(passed(text)[0] for text in resources.sbatch_arg)]
    for options, what in ((MEMORY_OPTIONS, "memory"), (GPU_OPTIONS, "GPU")):
        found = [name for name in given if name in options]
        if len(found) > 1:
            raise SettingsError(f"--{found[0]} and --{found[1]} exclude each other: give one {what} option")
    twice = [name for name in given if given.count(name) > 1]
    if twice:
        raise SettingsError(f"--{twice[0]} is given twice; keep one")
    if resources.ntasks and resources.nodes and resources.ntasks < resources.nodes:
        raise SettingsError(f"--ntasks {resources.ntasks} are fewer than --nodes {resources.nodes}: one rank a node")
    return resources


def arguments(resources: Resources) -> list[str]:
    """The arguments of sbatch, each in one word."""
    found = []
    for name in _named(resources):
        value = getattr(resources, name.replace("-", "_"))
        found.append(f"--{name}" if value is True else f"--{name}={value}")
    for text in resources.sbatch_arg:
        name, value = passed(text)
        found.append(f"--{name}={value}" if value else f"--{name}")
    return found


def passed(text: str) -> tuple[str, str]:
    """Name and value of an option that is handed through; SettingsError when sbatch must not get it from here."""
    name, _, value = text.removeprefix("--").partition("=")
    origin = f"--sbatch-arg={text!r}"
    if not text.startswith("--"):
        raise SettingsError(f"{origin}: expected a long option of sbatch, as --sbatch-arg=--option=value")
    if name in FORBIDDEN:
        raise SettingsError(f"{origin}: not --{name} from here: {FORBIDDEN[name]}")
    if name.replace("-", "_") in Resources.__struct_fields__:
        raise SettingsError(f"{origin}: name it directly: --{name} {value}".rstrip())
    if name not in PASSED:
        raise SettingsError(f"{origin}: sbatch has no option --{name} that hpcjobs knows; {nearest(name, PASSED)}")
    form = PASSED[name]
    if not re.fullmatch(form, value, re.ASCII):
        expected = f"a value of the form {form}" if form else "no value"
        raise SettingsError(f"{origin}: expected {expected}")
    return name, value


def word(text: str, flag: str) -> str:
    """A single name, as it may stand among sbatch's arguments."""
    if not re.fullmatch(NAME, text, re.ASCII):
        raise SettingsError(f"{flag} is {text!r}: expected a name of letters, digits and _ . @ + -")
    return text


def mebibytes(text: str) -> float:
    """A size of Slurm's in MiB, which is its unit where none is named."""
    number, unit = (text[:-1], text[-1]) if text[-1].isalpha() else (text, "M")
    return int(number) * MIB[unit]


def minutes(text: str) -> float:
    """A time limit in minutes, by the forms of sbatch's manual."""
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        hours, mins, secs = [*parts, 0, 0][:3]
        return int(days) * 1440 + hours * 60 + mins + secs / 60
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        return parts[0] + parts[1] / 60
    return parts[0] * 60 + parts[1] + parts[2] / 60


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Resources asked for anew win; a new memory or GPU option takes the place of any old one."""
    given = {name.replace("_", "-") for name in new} | {passed(text)[0] for text in new.get("sbatch_arg", ())}
    for options in (MEMORY_OPTIONS, GPU_OPTIONS):
        if given & set(options):
            given |= set(options)
    args = [text for text in old.get("sbatch_arg", ()) if passed(text)[0] not in given]
    kept = {name: old[name] for name in old if name.replace("_", "-") not in given and name != "sbatch_arg"}
    both = [*args, *new.get("sbatch_arg", ())]
    return kept | dict(new) | ({"sbatch_arg": both} if both else {})


def lasting(old: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier submission asked for, without what was meant for that one job: holds, times, dependencies."""
    args = [text for text in old.get("sbatch_arg", ()) if passed(text)[0] not in ONCE]
    return {name: value for name, value in old.items() if name != "dependency"} | {"sbatch_arg": args}


def _named(resources: Resources) -> list[str]:
    """The options that have a value, as sbatch writes them."""
    fields = [name for name in Resources.__struct_fields__ if name != "sbatch_arg"]
    return [name.replace("_", "-") for name in fields if getattr(resources, name) not in (None, False)]
