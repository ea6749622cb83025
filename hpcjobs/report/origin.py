"""The parts of a page that outlive it: provenance, how to open the file, how to cite it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcjobs.report.course import Story
from hpcjobs.report.page import Grid, Section, Snippet
from hpcjobs.report.reading import Arrays, text

FACTS = {"system": "system", "mpi": "MPI", "git": "git commit of hpcjobs", "numerics": "numerics", "slurm": "Slurm"}
MOST_ROWS = 100
LIKELY = ("labels", "x", "inertia")  # what a reader wants first


def provenance(story: Story, found: Arrays) -> Section:
    """Versions, machine and inputs."""
    facts = [(label, _plainly(text(found, f"/provenance/{name}"))) for name, label in FACTS.items()]
    facts = [("run", story["run_uuid"]), ("created", story["created"]), *facts]
    facts.append(("file digest", story["file_digest"] or "none: another program wrote this file"))
    keys = ("name", "rows", "digest")
    inputs = [tuple(one.get(key, "") for key in keys) for one in story["inputs"]]
    grids = [Grid("Inputs", ("data set", "rows", "digest"), inputs)]
    grids.append(Grid("Software", ("package", "version"), list(story["software"].items())))
    machine = ("host", "processor", "blas", "blas_threads")
    alike = Counter(tuple(one.get(key, "") for key in machine) for one in story["ranks"])
    ranks = [(count, *one) for one, count in alike.most_common(MOST_ROWS)]
    more = f", the first {MOST_ROWS} of {len(alike)}" if len(alike) > MOST_ROWS else ""
    grids.append(Grid(f"Machines{more}", ("ranks", "host", "processor", "BLAS", "BLAS threads"), ranks))
    shown = [(name, value) for name, value in facts if value]
    return Section("Provenance", facts=shown, grids=[grid for grid in grids if grid.rows])


def _plainly(said: str) -> str:
    """A JSON object as `key value, key value`; any other text as it is."""
    try:
        known = json.loads(said)
    except (ValueError, RecursionError):
        return said
    if not isinstance(known, Mapping):
        return said
    return ", ".join(f"{key} {_inner(value)}" for key, value in known.items())


def _inner(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {one}" for key, one in value.items())
    return " ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def opening(path: Path, listed: Sequence[Mapping[str, Any]], group: str) -> Section:
    """Programs that read the file, with names that it really has."""
    names = [entry["path"] for entry in listed if entry["path"].startswith(f"/{group}/") and "problem" not in entry]
    plain = [name for name in names if all(part.isidentifier() for part in name.strip("/").split("/"))]
    if not plain:
        return Section("How to open it", text=(f"hpcjobs data inspect {path.name} lists what it holds.",))
    wanted = [f"/{group}/{name}" for name in LIKELY]
    chosen = next((name for name in wanted if name in plain), plain[0])
    file, group = repr(path.name), plain[0].strip("/").rpartition("/")[0]
    return Section(
        "How to open it",
        text=(f"{path} is an HDF5 file: h5py, pandas, xarray, netCDF4, h5dump, MATLAB and Julia read it.",),
        snippets=(
            Snippet(
                "With h5py",
                ("import h5py", "", f"with h5py.File({file}) as file:", f"    values = file[{chosen[1:]!r}][()]"),
            ),
            Snippet(
                "With xarray (name the engine: the file begins with a user block)",
                ("import xarray", "", f'data = xarray.open_dataset({file}, engine="h5netcdf", group={group!r})'),
            ),
        ),
    )


@dataclass(frozen=True)
class Cited:
    """What names the content: the kind of its digest and the digest; the run and the version that made it, if any."""

    kind: str
    digest: str
    run: str = ""
    version: str = ""


def citing(title: str, created: str, what: Cited) -> Section:
    """One sentence that names exactly this content."""
    made = f"Made with hpcjobs {what.version or ''}".rstrip()
    of_run = f" Run {what.run}." if what.run else ""
    text = ("The digest is that of the content: whoever has the same one has the same bits.",) if what.digest else ()
    said = f"{title}. {made}, {str(created)[:10]}.{of_run} {what.kind} {what.digest or 'none'}."
    return Section("How to cite it", text=text, snippets=[Snippet("Text", [said])])
