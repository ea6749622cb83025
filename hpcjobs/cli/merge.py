"""Add up the experience of several runs into one result: the counts of Q-learning."""

import uuid
from pathlib import Path

from hpcjobs.cli import Parser


def main(argv: list[str]) -> int:
    """`hpcjobs merge A B ... -o C.h5`: a result like any other, which can be shown, evaluated and merged again."""
    from hpcjobs.data.schema import Contents
    from hpcjobs.data.table import refuse_existing
    from hpcjobs.data.writing import write_file
    from hpcjobs.errors import DataError, SettingsError
    from hpcjobs.jobs._models import job_of, named
    from hpcjobs.parallel.census import take_census
    from hpcjobs.parallel.communicator import SerialCommunicator
    from hpcjobs.runs.model import read_model
    from hpcjobs.runs.provenance import provenance

    given = parser().parse(argv)
    if len(given.runs) < 2:
        raise SettingsError("hpcjobs merge: expected at least two runs or results to add up")
    refuse_existing(given.out, given.force)
    found = [job_of(named(name)) for name in given.runs]
    job = found[0][0]
    if not hasattr(job, "merge"):
        raise SettingsError(f"{found[0][1]}: a result of {read_model(found[0][1]).job}, which cannot be added up")
    models = [read_model(file, job.MERGED) for _, file in found]
    for model in models:
        if model.job != models[0].job:
            raise DataError(f"{model.file}: a result of {model.job}, {models[0].file} one of {models[0].job}")
    settings, content = job.merge(models)
    unknown = {"rows": 0, "size": 0, "modified": 0}
    inputs = [{"name": str(model.file), "digest": model.digest} | unknown for model in models]
    alone = SerialCommunicator()
    content |= provenance(settings, take_census(alone), inputs, [], alone.library)
    together = str(uuid.uuid5(uuid.NAMESPACE_OID, " ".join(model.digest for model in models)))
    title = f"{models[0].job}: {len(models)} results added up"
    digest = write_file(given.out, Contents("result", title, content, models[0].job, together))
    print(f"{given.out}  digest {digest}")
    return 0


def parser() -> Parser:
    """The flags of `hpcjobs merge`."""
    made = Parser(prog="hpcjobs merge", description=__doc__)
    made.add_argument("runs", metavar="RUN", nargs="+", help="run folder, its name, or a result.h5")
    made.add_argument("-o", "--out", type=Path, metavar="OUT.h5", required=True, help="file to write")
    made.add_argument("--force", action="store_true", help="replace OUT.h5 if it exists")
    return made
