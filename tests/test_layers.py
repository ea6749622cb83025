"""Imports go down only, and each heavy library has one home: the picture in the design cannot rot."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpcjobs
from hpcjobs.cli import verbs

PACKAGE = Path(hpcjobs.__file__).parent
# Top to bottom; what stands in one line may import each other.
LAYERS = [
    {"__main__"},
    {"cli", "api"},
    {"testing"},
    {"jobs", "launch", "report"},
    {"clustering", "nn", "rl", "runs"},
    {"kernels"},
    {"data"},
    {"parallel"},
    {"settings"},
    {"errors"},
]
HOMES = {
    "mpi4py": ("parallel/",),
    "cupy": ("parallel/device.py", "kernels/cuda/"),
    "numba": ("kernels/cpu/",),
    "h5py": ("data/", "runs/"),
    "rich": ("cli/",),
    "matplotlib": ("report/",),
    "jinja2": ("report/",),
    "markupsafe": ("report/",),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer(topic: str) -> int:
    """The number of a topic's layer, 0 at the top; a topic that no layer knows is a mistake of the layout."""
    return next(number for number, topics in enumerate(LAYERS) if topic in topics)


def topic_of(module: str) -> str:
    """`data` of `hpcjobs.data.record`; "" of `hpcjobs` itself."""
    return [*module.split("."), ""][1]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or inside a function; the table of contents may name its types."""
    tree = ast.parse(path.read_text())
    if path == PACKAGE / "__init__.py":
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    own = name.split("/")[0].removesuffix(".py")
    for module in imported(path):
        library = module.split(".")[0]
        if library in HOMES:
            assert name.startswith(HOMES[library]), f"{name} imports {library}"
        if library == "hpcjobs" and topic_of(module) not in ("", "__version__"):
            below = layer(topic_of(module))
            assert own != "__init__", f"{name} imports {module}"
            assert layer(own) <= below, f"{name} imports {module}, which lies above it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300, "split it by topic"


WATCHING = ["status", "list", "why", "wait", "logs", "cancel", "efficiency"]


@pytest.mark.parametrize("verb", WATCHING)
def test_verbs_that_watch_load_no_hdf5_and_no_job(verb: str) -> None:
    code = (
        f"import sys, hpcjobs.cli.{verb}; print(*{{'h5py', 'rich', 'scipy', 'hpcjobs.jobs.kmeans'}} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize(
    "module",
    [
        "hpcjobs",
        "hpcjobs.jobs.kmeans",
        "hpcjobs.api.runs",
        *(f"hpcjobs.cli.{verb.replace('-', '_')}" for verb in verbs()),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; print(*{{'mpi4py', 'numba', 'cupy'}} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


def test_no_shell_no_pickle_no_eval() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads"), path
                assert not any(keyword.arg == "shell" for keyword in node.keywords), path
