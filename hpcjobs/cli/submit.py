"""Send a run to Slurm, checked here before it waits in a queue. Prints the job id."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from hpcjobs import jobs, settings
from hpcjobs.cli import Parser
from hpcjobs.cli.run import add_place, place_of
from hpcjobs.errors import RunFolderError, SettingsError, SlurmError
from hpcjobs.launch import ordering, preparing, submitting, sweep
from hpcjobs.launch.resources import arguments
from hpcjobs.launch.slurm import command
from hpcjobs.launch.slurm.partitions import max_array_size
from hpcjobs.launch.submitting import Batch, Order
from hpcjobs.runs import making, submission
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find, remember
from hpcjobs.runs.making import label_of
from hpcjobs.runs.progress import say, tell
from hpcjobs.settings import whole_number

USAGE = """usage: hpcjobs submit JOB [job.toml] [--flag value ...] [--nodes N --ntasks-per-node N --time T ...]
       hpcjobs submit data import|generate ...               as hpcjobs data, on a node
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
    if what in jobs.names() or ".py" in what or ":" in what:
        return new(what, argv[1:])
    try:
        path = find(what)
    except RunFolderError as error:
        raise RunFolderError(f"{error}; jobs: {', '.join(jobs.names())}") from None
    return sweep_again(path, argv[1:]) if sweep.read(path) else again(path, argv[1:])


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
    toml, place, axes = given.pop("toml"), place_of(given), given.pop("sweep")
    shown = Shown(given)
    asked = ordering.from_toml(toml) | {key: given.pop(key) for key in list(given) if key in ordering.declared()}
    making.private(place.share)
    order = ordering.order(place.name or label_of(name), asked, {}, None)
    if axes:
        ready = sweep.plan(name, job, toml, given, axes, place)
        need = ordering.check(order, job, ready.values)
        batches = sweep.batches(range(len(ready.values)), max_array_size(), shown.at_once)
        if shown.dry:
            return show(order, ready.path, batches, need, shown)
        command.require()
        sweep.make(ready, place)
        return send(ready.path, order, batches, need, fresh=True)
    values = preparing.wanted(job, toml, given)
    need = ordering.check(order, job, [values])
    if shown.dry:
        return show(order, (place.out or making.default_path(order.label)).absolute(), [Batch()], need, shown)
    command.require()
    fresh = place.out is None or not place.out.exists()
    return send(preparing.prepare(name, job, values, place, keep_code=True).path, order, [Batch()], need, fresh=fresh)


def new_data(argv: list[str]) -> int:
    """`hpcjobs data import` or `generate` as a job."""
    from hpcjobs.cli.data import generate_arguments, import_arguments

    kinds = {name.partition(" ")[2]: name for name in jobs.DATA}
    if not argv or argv[0] not in kinds:
        raise SettingsError(f"hpcjobs submit data: name what to do: {', '.join(kinds)}")
    parser = Parser(prog=f"hpcjobs submit data {argv[0]}", description=f"The flags of `hpcjobs data {argv[0]}`, and:")
    add_place(parser)
    add_slurm(parser)
    known, rest = parser.parse_known_args(argv[1:])
    given = vars(known)
    place, shown = place_of(given), Shown(given)
    if argv[0] == "import":
        source, file, options = import_arguments(rest)
        flags: dict[str, Any] = {"source": source, "file": str(file), "options": options}
    else:
        flags = generate_arguments(rest)
        flags["out"] = str(flags["out"])
    making.private(place.share)
    job = jobs.find(kinds[argv[0]])
    order = ordering.order(place.name or f"data-{argv[0]}", given, {}, None)
    values = preparing.wanted(job, None, flags)
    need = ordering.check(order, job, [values])
    if shown.dry:
        return show(order, (place.out or making.default_path(order.label)).absolute(), [Batch()], need, shown)
    command.require()
    fresh = place.out is None or not place.out.exists()
    return send(preparing.prepare(kinds[argv[0]], job, values, place).path, order, [Batch()], need, fresh=fresh)


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
    shown = Shown(given)
    flags = {key: given.pop(key) for key in list(given) if key in growing}
    if not flags and folder.read_outcome().get("state") == "done" and folder.result.exists():
        say(f"already done: {folder.result}")
        return 0
    before = submission.read(path)
    kept = folder.script.read_bytes() if folder.script.exists() else None
    label = before.name if before else wish["name"] or label_of(wish["job"])
    order = ordering.order(label, given, before.resources if before else {}, kept)
    need = ordering.check(order, job, [wish["settings"]])
    if shown.dry:
        return show(order, path, [Batch()], need, shown)
    command.require()
    preparing.extend(folder, job, flags)
    remember(path)
    return send(path, order, [Batch()], need)


def sweep_again(path: Path, argv: list[str]) -> int:
    """Tasks of a sweep that did not get to their end, or have not been sent."""
    from hpcjobs.launch.truth import look

    found = sweep.read(path)
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
    shown, only = Shown(given), given.pop("only")
    command.require()
    submitting.settle(path)
    folder = RunFolder(path)
    verdicts = look([path / task.folder for task in found.tasks], None)
    tasks = [
        task.index
        for task, verdict in zip(found.tasks, verdicts, strict=True)
        if verdict.state != "done"
        and (verdict.ended or verdict.state == "not started")
        and (only == "unfinished" or verdict.state not in ("cancelled", "not started"))
    ]
    if not tasks:
        say(f"nothing to send: no task of {path} is {only}")
        return 0
    before = submission.read(path)
    job = jobs.find(RunFolder(path / found.tasks[0].folder).job(), path / found.tasks[0].folder / "code")
    order = ordering.order(
        before.name if before else label_of(found.name or found.job),
        given,
        before.resources if before else {},
        folder.script.read_bytes() if folder.script.exists() else None,
    )
    wishes = [RunFolder(path / found.tasks[index].folder).read_settings()["settings"] for index in tasks]
    need = ordering.check(order, job, wishes)
    batches = sweep.batches(tasks, max_array_size(), shown.at_once)
    if shown.dry:
        return show(order, path, batches, need, shown)
    return send(path, order, batches, need)


class Shown:
    """The flags that say how much really happens, taken out of what was given."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.dry: bool = given.pop("dry_run") or given["test_only"]
        self.test: bool = given.pop("test_only")
        self.at_once: int | None = given.pop("at_once")


def add_slurm(parser: Parser) -> None:
    """The flags that every form of `submit` has."""
    group = parser.add_argument_group("Slurm")
    settings.add_flags(group, ordering.declared())
    group.add_argument("--at-once", type=whole_number, metavar="N", help="tasks of a sweep that run at a time")
    group.add_argument("--dry-run", action="store_true", help="print script and command; send nothing, make nothing")
    group.add_argument("--test-only", action="store_true", help="with that, ask Slurm when it would start")


def slurm_flags() -> set[str]:
    """Every flag that only makes sense for a job that is sent to Slurm."""
    parser = argparse.ArgumentParser(add_help=False)
    settings.add_flags(parser, ordering.declared())
    return {flag for action in parser._actions for flag in action.option_strings}


def send(path: Path, order: Order, batches: list[Batch], need: str, *, fresh: bool = False) -> int:
    """Send, and print the ids alone on stdout. A `fresh` folder that Slurm refuses is not left behind."""
    say(f"run folder {path}")
    if need:
        say(need)
    try:
        sent = submitting.submit(path, order, batches)
    except SlurmError:
        record = submission.read(path)
        if fresh and record and all(one.refused for one in record.sent):
            shutil.rmtree(path)
            say(f"removed {path} again")
        raise
    for job in sent:
        print(job)
    return 0


def show(order: Order, path: Path, batches: list[Batch], need: str, shown: Shown) -> int:
    """What would be sent: the commands, then the script, as bash would read them."""
    for batch in batches:
        print(shlex.join(submitting.command(path, order, batch, "TOKEN")))
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n" + order.script)
    sys.stdout.buffer.flush()
    if need:
        say(need)
    if shown.test:
        command.require()
        for batch in batches:
            tell(f"{expected_start(order, batch)}\n")
    return 0


def expected_start(order: Order, batch: Batch) -> str:
    """What Slurm says of the start of a job that is not sent."""
    array = [f"--array={batch.array}"] if batch.array else []
    argv = ["sbatch", "--test-only", *array, *arguments(order.resources), "--wrap=true"]
    return command.ask(argv).problem
