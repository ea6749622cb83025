"""From flags, a TOML file and the site's defaults to what is sent to Slurm, checked before it waits in a queue."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from hpcjobs import settings
from hpcjobs.errors import SettingsError
from hpcjobs.launch import resources, site
from hpcjobs.launch.requeueing import DEFAULT as REQUEUES
from hpcjobs.launch.resources import Resources
from hpcjobs.launch.slurm import limits
from hpcjobs.launch.submitting import Order
from hpcjobs.runs.progress import say
from hpcjobs.runs.submission import Submission
from hpcjobs.settings import setting

LEAD = re.compile(rb"^#SBATCH --signal=B:USR1@(\d+)", re.MULTILINE)


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is sent, beside its resources."""

    script: Annotated[str | None, setting("sbatch script of your own, in place of the one hpcjobs finds")] = None
    mpi: Annotated[str | None, setting("what starts the ranks: srun's pmi2 or pmix, or mpiexec (default: probed)")] = (
        None
    )
    max_requeues: Annotated[
        int | None, setting(f"requeues at a time limit before it gives up (default: {REQUEUES})", ge=0)
    ] = None


def declared() -> dict[str, settings.Field]:
    """Every option of Slurm's that a flag or the [slurm] table may give."""
    return settings.fields(Resources) | settings.fields(Way)


def from_toml(toml: Path | None) -> dict[str, Any]:
    """The [slurm] table of a TOML file; a script that is named by its path is looked for beside that file."""
    if toml is None:
        return {}
    found = site.read_table(toml, settings.OTHERS, settings.read_toml(toml).get(settings.OTHERS, {}), Resources, Way)
    script = found.get("script")
    if script:
        beside = toml.parent / Path(script).expanduser()
        found["script"] = str(beside.absolute()) if "/" in script or beside.is_file() else script
    return found


def order(label: str, asked: Mapping[str, Any], old: Submission | None = None, kept: bytes | None = None) -> Order:
    """What is sent: the site's defaults, then what an earlier submission asked for, then what is asked for now.

    `kept` is the script that the `old` submission used, perhaps edited by hand since.
    """
    own = site.read_site()
    known = settings.fields(Resources)
    now = {name: value for name, value in asked.items() if name in known}
    wish = resources.merged(resources.merged(own.resources, resources.lasting(old.resources if old else {})), now)
    built = settings.build(Resources, None, {name: value for name, value in wish.items() if value not in (None, ())})
    assert isinstance(built, Resources)
    way = settings.build(Way, None, {name: value for name, value in asked.items() if name not in known})
    assert isinstance(way, Way)
    if way.mpi is not None and way.mpi != "mpiexec":
        resources.word(way.mpi, "--mpi")
    found = resources.checked(built)
    shape = "gpu" if found.gpus_per_node else "cpu"
    if kept is None or way.script:
        kept = site.find_script(way.script or own.script or None, shape, Path.cwd()).read_bytes()
    found = warned_in_time(found, kept)
    requeues = way.max_requeues if way.max_requeues is not None else old.max_requeues if old else REQUEUES
    return Order(label, found, kept, way.mpi or (old.mpi if old else "") or own.mpi, requeues)


def warned_in_time(asked: Resources, script: bytes) -> Resources:
    """With a short time limit the signal comes when three quarters are over, not at the start."""
    named = any(resources.passed(text)[0] == "signal" for text in asked.sbatch_arg)
    found = LEAD.search(script)
    if asked.time is None or named or found is None:
        return asked
    limit = resources.minutes(asked.time) * 60
    if limit <= 0 or limit >= 2 * int(found[1]):
        return asked
    signal = f"--signal=B:USR1@{max(1, int(limit / 4))}"
    return msgspec.structs.replace(asked, sbatch_arg=(*asked.sbatch_arg, signal))


def check(sent: Order, job: Any, values: Sequence[Mapping[str, Any]]) -> str:
    """Refuse what cannot run; returns what the job needs, in words ("" where it does not say)."""
    asked = site.with_header(sent.resources, sent.script.decode(errors="replace"))
    for note in limits.refuse_impossible(asked) if site.read_site().limits else []:
        say(note)
    if not hasattr(job, "need"):
        return ""
    ranks = sent.resources.ranks
    needed = max(job.need(msgspec.convert(value, job.Settings), ranks) for value in values) / 2**20
    share = sent.resources.ranks_per_node
    given = sent.resources.node_memory_mib()
    if given is not None and given < needed * share:
        raise SettingsError(
            f"{given:.0f} MiB of memory on each node are too little: {share} ranks on a node of {ranks} in all need "
            f"{needed:.0f} MiB each; ask for --mem {needed * share * 1.1 / 1024 + 0.5:.0f}G, or for more nodes"
        )
    return f"needs about {needed:.0f} MiB a rank, {needed * share:.0f} MiB on each node"
