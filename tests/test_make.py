"""`make` says what a machine lacks before it tries anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

OLD = "#!/bin/sh\nexit 1\n"
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n'


@pytest.mark.parametrize(
    ("python", "words"),
    [
        (OLD, ["Python 3.11 or newer", "make PYTHON=python3.12 demo"]),
        (NO_VENV, ["venv module is missing", "apt-get install python3-venv"]),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, python: str, words: list[str]) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "python").write_text(python)
    (tmp_path / "python").chmod(0o755)
    argv = ["make", "demo", f"PYTHON={tmp_path}/python"]
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert all(word in ended.stderr for word in words), ended.stderr
    assert not (tmp_path / ".venv").exists()
