"""The wheel, in a fresh environment, is as complete as the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from command import clean_environment

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(ROOT)]
    subprocess.run(argv, check=True, capture_output=True, timeout=300)
    (found,) = out.glob("hpcjobs-*.whl")
    return found


def test_the_wheel_holds_every_module_once_and_examples_and_scripts(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("hpcjobs/")]
    assert len(names) == len(set(names))
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "hpcjobs").rglob("*.py")}
    examples = {f"hpcjobs/examples/{path.name}" for path in (ROOT / "examples").iterdir()}
    scripts = {f"hpcjobs/scripts/{path.name}" for path in (ROOT / "slurm").iterdir()}
    assert set(names) == modules | examples | scripts | {"hpcjobs/py.typed", "hpcjobs/report/page.html.j2"}


def test_the_demo_runs_from_the_wheel_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet", f"hpcjobs[local] @ {wheel.as_uri()}"]
    subprocess.run(install, check=True, capture_output=True, timeout=600)
    env = clean_environment(tmp_path) | {"PATH": os.pathsep.join([str(binaries), os.environ["PATH"]])}
    env.pop("PYTHONPATH", None)
    (script,) = (tmp_path / "env").glob("lib/python*/site-packages/hpcjobs/examples/demo.sh")
    ended = subprocess.run(
        ["sh", str(script)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "1797 rows x 64 columns" in ended.stdout
    assert "tolerance met" in ended.stdout
    assert (tmp_path / "demo" / "run" / "result.h5").exists()
