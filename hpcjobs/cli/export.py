"""What a result says of each sample as CSV, TSV or Parquet, or a trained network as ONNX or safetensors."""

from pathlib import Path

from hpcjobs.cli import Parser
from hpcjobs.errors import RunFolderError, SettingsError
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.index import find
from hpcjobs.runs.progress import Bar

MODELS = (".onnx", ".safetensors")


def main(argv: list[str]) -> int:
    """`hpcjobs export`: a table with the id of each sample first, or a model."""
    from hpcjobs.data.export import export

    parser = Parser(prog="hpcjobs export", description=__doc__)
    parser.add_argument(
        "what",
        metavar="RUNDIR|RESULT.h5",
        help="run folder, its name or `last`; or the file of a result or a prediction",
    )
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="table to write: OUT.csv, OUT.tsv or OUT.parquet; or model: OUT.onnx or OUT.safetensors",
    )
    parser.add_argument(
        "--dataset",
        metavar="A,B,...",
        help="data sets of /result, such as /result/labels (default: all of each sample)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    given = parser.parse(argv)
    if given.out.suffix.lower() in MODELS:
        if given.dataset:
            raise SettingsError(f"--dataset {given.dataset}: {given.out} holds a whole model; leave it out")
        print(export_model(given.what, given.out, given.force))
        return 0
    names = given.dataset.split(",") if given.dataset else []
    with Bar(f"export {given.out.name}") as bar:
        report = export(result_of(given.what), given.out, names, force=given.force, progress=bar.to)
    print(report)
    return 0


def export_model(what: str, out: Path, force: bool) -> str:
    """Write the model of a run as a file of another program; what was written, in words."""
    from hpcjobs.data.publish import publish_bytes
    from hpcjobs.data.table import refuse_existing
    from hpcjobs.jobs._models import job_of, named
    from hpcjobs.runs.model import read_model

    job, file = job_of(named(what))
    suffix, makers = out.suffix.lower(), getattr(job, "EXPORTS", {})
    if suffix not in makers:
        raise SettingsError(f"{file}: a result of {read_model(file).job}, which cannot be exported as {suffix}")
    refuse_existing(out, force)
    model = read_model(file, job.MODEL)
    content = makers[suffix](model)
    publish_bytes(out, content)
    return f"{out}: the model of run {model.run_uuid[:8]}, {len(content)} bytes"


def result_of(what: str) -> Path:
    """The result file that a name means."""
    if Path(what).is_file():
        return Path(what)
    folder = RunFolder(find(what))
    folder.read_settings()
    if not folder.result.exists():
        raise RunFolderError(f"{folder.path}: has no result yet; hpcjobs status {what} tells how far it is")
    return folder.result
