"""Send a run to Slurm, checked here before it waits in a queue. Prints the job id."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpcjobs import jobs, settings
from hpcjobs.cli import Parser, data
from hpcjobs.cli._delivery import Manner, Parcel, add_slurm, deliver
from hpcjobs.cli.run import add_place, place_of
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.launch import ordering, preparing, submitting, sweep
from hpcjobs.launch.preparing import Place
from hpcjobs.launch.slurm import command
from hpcjobs.launch.slurm.partitions import max_array_size
from hpcjobs.launch.submitting import Batch, Order
from hpcjobs.runs import making, submission, sweeps
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find, remember
from hpcjobs.runs.making import label_of
from hpcjobs.runs.progress import say

USAGE = """usage: hpcjobs submit JOB [job.toml] [--flag value ...] [--nodes N --ntasks-per-node N --time T ...]
       hpcjobs submit data import|generate ...              as hpcjobs data, on a node
       hpcjobs submit RUNDIR [--time T --mem M ...]         send a run again: it goes on where it stopped
       hpcjobs submit SWEEP --only failed|unfinished        send tasks of a sweep again

jobs: {jobs}, ./file.py:Name, or package.module:Name

`hpcjobs submit JOB --help` tells the flags of a job."""


def main(argv: list[str]) -> int:
    """`hpcjobs submit`: a new run, a sweep of runs, or one that is there already."""
    if not argv or argv[0].startswith("-"):
        asked = argv[:1] in (["-h"], ["--help"])
        print(USAGE.format(jobs=", ".join(jobs.names())), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    what = argv[0]
    if what == "data":
        return new_data(argv[1:])
    if jobs.is_named(what):
        return new(what, argv[1:])
    try:
        path = find(what)
    except RunFolderError as error:
        raise RunFolderError(f"{error}; jobs: {', '.join(jobs.names())}") from None
    return sweep_again(path, argv[1:]) if sweeps.read(path) else again(path, argv[1:])


def new(what: str, argv: list[str]) -> int:
    """A new run, or a sweep of them."""
    name = jobs.canonical(what)
    job = jobs.find(name)
    parser = Parser(prog=f"hpcjobs submit {what}", description=(job.__doc__ or "").strip())
    parser.add_argument("toml", nargs="?", type=Path, help="settings as a TOML file; its table [slurm] holds resources")
    add_place(parser)
    add_slurm(parser)
    parser.add_argument(
        "--sweep", nargs="+", metavar="SETTING=VALUES", help="one run each of clusters=8,16,32 seed=0:4 (0 to 3)"
    )
    settings.add_flags(parser.add_argument_group("settings"), settings.fields(job.Settings))
    given = vars(parser.parse(argv))
    toml, place, axes, manner = given.pop("toml"), place_of(given), given.pop("sweep"), Manner.of(given)
    asked = ordering.from_toml(toml) | {key: given.pop(key) for key in list(given) if key in ordering.declared()}
    order = ordering.order(place.name or label_of(name), asked)
    if axes:
        plan = sweep.plan(name, job, toml, given, axes, place)
        batches = sweep.batches(range(len(plan.values)), max_array_size(), manner.at_once)
        parcel = Parcel(plan.path, order, ordering.check(order, job, plan.values), batches)
        return deliver(parcel, manner, lambda: sweep.make(plan, place))
    return single(name, job, order, preparing.wanted(job, toml, given), place, manner)


def new_data(argv: list[str]) -> int:
    """A command of `hpcjobs data` as a job."""
    kinds = {name.partition(" ")[2]: name for name in jobs.data_jobs()}
    if not argv or argv[0] not in kinds:
        raise SettingsError(f"hpcjobs submit data: name what to do: {', '.join(kinds)}")
    parser = Parser(prog=f"hpcjobs submit data {argv[0]}", description=f"The flags of `hpcjobs data {argv[0]}`, and:")
    add_place(parser)
    add_slurm(parser)
    known, rest = parser.parse_known_args(argv[1:])
    given = vars(known)
    place, manner = place_of(given), Manner.of(given)
    flags = data.load(argv[0]).request(rest)
    name = kinds[argv[0]]
    job = jobs.find(name)
    order = ordering.order(place.name or f"data-{argv[0]}", given)
    return single(name, job, order, preparing.wanted(job, None, flags), place, manner)


def single(name: str, job: Any, order: Order, values: dict[str, Any], place: Place, manner: Manner) -> int:
    """One new run."""
    place = dataclasses.replace(place, out=making.resolved(place.out or making.default_path(order.label)))
    assert place.out is not None
    making.private(place.share)
    parcel = Parcel(place.out, order, ordering.check(order, job, [values]))
    return deliver(parcel, manner, lambda: preparing.prepare(name, job, values, place, keep_code=True))


def again(path: Path, argv: list[str]) -> int:
    """A run that is there: it goes on from its newest checkpoint, with other resources if asked."""
    folder = RunFolder(path)
    wish = folder.read_settings()
    making.private(wish["share"])
    job = jobs.find(folder.job(), folder.code)
    parser = Parser(prog="hpcjobs submit RUNDIR", description=again.__doc__)
    add_slurm(parser)
    growing = preparing.extendable(job)
    settings.add_flags(parser.add_argument_group("settings that may grow"), growing)
    given = vars(parser.parse(argv))
    manner = Manner.of(given)
    flags = {key: given.pop(key) for key in list(given) if key in growing}
    if not flags and folder.read_outcome().get("state") == "done" and folder.result.exists():
        say(f"already done: {folder.result}")
        return 0
    home = sweeps.home(path)
    order = order_again(home, wish["name"] or label_of(wish["job"]), given)
    values = preparing.grown(folder, job, flags)
    need = ordering.check(order, job, [values])
    batches: Sequence[Batch] = (Batch(),)
    if home != path:  # a task of a sweep is sent from there, so that the sweep knows of it
        sweep.refuse_going(path)
        batches = sweep.batches([sweeps.number(path)], max_array_size())
    remember(home)

    def change() -> None:
        preparing.keep_own_code(folder)
        preparing.extend(folder, job, flags)

    return deliver(Parcel(home, order, need, batches), manner, change)


def sweep_again(path: Path, argv: list[str]) -> int:
    """Tasks of a sweep that did not get to their end, or have not been sent."""
    found = sweeps.read(path)
    assert found is not None
    parser = Parser(prog="hpcjobs submit SWEEP", description=sweep_again.__doc__)
    parser.add_argument(
        "--only",
        choices=("failed", "unfinished"),
        default="unfinished",
        help="failed: what ended without a result and was not cancelled; unfinished: cancelled and never sent ones too",
    )
    add_slurm(parser)
    given = vars(parser.parse(argv))
    manner, only = Manner.of(given), given.pop("only")
    command.require()
    submitting.settle(path)
    tasks = sweep.to_send(path, found, unfinished=only == "unfinished")
    if not tasks:
        say(f"nothing to send: no task of {path} is {only}")
        return 0
    folders = [RunFolder(path / found.tasks[index].folder) for index in tasks]
    making.private(folders[0].read_settings()["share"])
    order = order_again(path, label_of(found.name or found.job), given)
    job = jobs.find(folders[0].job(), folders[0].code)
    need = ordering.check(order, job, [folder.read_settings()["settings"] for folder in folders])
    parcel = Parcel(path, order, need, sweep.batches(tasks, max_array_size(), manner.at_once))
    remember(path)
    return deliver(parcel, manner, lambda: None)


def order_again(path: Path, label: str, given: dict[str, Any]) -> Order:
    """What is sent for a folder that was sent before: with its resources and its script, perhaps edited since."""
    before, script = submission.read(path), RunFolder(path).script
    kept = script.read_bytes() if script.exists() else None
    return ordering.order(before.name if before else label, given, before, kept)
