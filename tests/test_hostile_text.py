"""A sample of `accept/hostile_text.py`: hostile names, arguments, paths and environment keys on every change."""

import subprocess
import sys
from pathlib import Path

from command import clean_environment

SCRIPT = Path(__file__).parents[1] / "accept" / "hostile_text.py"


def test_hostile_text_is_refused_or_arrives_unchanged(tmp_path: Path) -> None:
    argv = [sys.executable, str(SCRIPT), "--cases", "400", "--seed", "3"]
    env = clean_environment(tmp_path)
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "PASSED"
