"""Measure the model of a finished run: a network on labelled rows, for example."""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs import settings
from hpcjobs.cli import Parser, _ranks
from hpcjobs.errors import SettingsError
from hpcjobs.runs.wording import columns

USAGE = "usage: hpcjobs evaluate RUN [DATA] [--flag value ...] [-o OUT.h5] [--json] [-n RANKS]"


def main(argv: list[str]) -> int:
    """`hpcjobs evaluate RUN`: the flags are those of the job that made the run."""
    from hpcjobs.data.schema import Contents
    from hpcjobs.data.table import refuse_existing
    from hpcjobs.data.writing import write_file
    from hpcjobs.jobs._evaluate import Evaluated
    from hpcjobs.jobs._models import job_of, named
    from hpcjobs.parallel.communicator import on_all, on_root
    from hpcjobs.runs.model import Model, read_model

    if not argv or argv[0].startswith("-"):
        asked = bool(argv) and argv[0] in ("-h", "--help")
        text = f"{USAGE}\n\n{__doc__}\n`hpcjobs evaluate RUN --help` tells the flags of its job."
        print(text, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    communicator = _ranks.here()
    path = on_root(communicator, lambda: named(argv[0]))
    job, file = on_all(communicator, lambda: job_of(path))
    declared = on_all(communicator, lambda: declaration(job, file))
    given = vars(parser(declared).parse(argv))
    if (code := _ranks.started(["evaluate"], argv, given.pop("ranks"))) is not None:
        return code
    out, force, as_json = given.pop("out"), given.pop("force"), given.pop("json")
    del given["model"]
    wanted = on_all(communicator, lambda: settings.build(declared, None, given))
    if out is not None:
        on_root(communicator, lambda: refuse_existing(out, force))
    model: Model = on_root(communicator, lambda: read_model(file, getattr(job, "MODEL", ())))
    found: Evaluated = job.evaluate(model, wanted, communicator)
    if out is not None:
        if not found.variables:
            raise SettingsError(f"-o {out}: {model.job} has nothing to write here; leave it out")
        facts = {"model": file.name, "model_digest": model.digest}
        title = f"evaluation of {model.job} of run {model.run_uuid[:8]}"
        contents = Contents("prediction", title, found.variables, model.job, model.run_uuid, attributes=facts)
        write_file(out, contents, communicator)
    if communicator.rank == 0:
        print(json.dumps(_plain(found.told), indent=2) if as_json else "\n".join(lines(found.told)))
    return 0


def parser(declared: type[msgspec.Struct]) -> Parser:
    """The flags of `hpcjobs evaluate` for one job."""
    made = Parser(prog="hpcjobs evaluate", description=__doc__)
    made.add_argument("model", metavar="RUN", help="run folder, its name, or a result.h5")
    fields = settings.fields(declared)
    if "data" in fields:
        _, meta, default = fields.pop("data")
        many = None if default is msgspec.NODEFAULT else "?"
        made.add_argument("data", metavar="DATA", nargs=many, default=argparse.SUPPRESS, help=meta.description)
    made.add_argument("-o", "--out", type=Path, metavar="OUT.h5", help="file to write, with what is said of each row")
    made.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    _ranks.add_ranks(made)
    settings.add_flags(made, fields)
    return made


def declaration(job: Any, file: Path) -> type[msgspec.Struct]:
    """How a job says what can be asked of it; SettingsError for one that cannot be evaluated."""
    from hpcjobs.runs.model import read_model

    if not (hasattr(job, "evaluate") and hasattr(job, "Evaluation")):
        raise SettingsError(f"{file}: a result of {read_model(file).job}, which has nothing to evaluate")
    found: type[msgspec.Struct] = job.Evaluation
    return found


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The readable form: a line for each number, a table for each list of rows, a block for each matrix."""
    width = max((len(name) for name in told), default=0)
    for name, value in told.items():
        label = name.replace("_", " ")
        several = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
        if several and isinstance(several[0], dict):
            heads = [one.replace("_", " ") for one in several[0]]
            yield from ("", f"{label}:", *columns([heads, *([_said(one) for one in row.values()] for row in several)]))
        elif several and isinstance(several[0], list):
            yield from ("", f"{label}:", *columns([[_said(one) for one in row] for row in several]))
        elif not isinstance(value, dict | list) or value:
            yield f"{label:<{width}}  {', '.join(map(_said, value)) if isinstance(value, list) else _said(value)}"


def _said(value: Any) -> str:
    """A value in a few signs; "" for what is not known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """The same with null for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
