"""Pytest sessions of small suites under the harness, started as a user would."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

TESTS = Path(__file__).parents[1]
LIMIT = 8  # seconds; starting three ranks takes half of one on an idle machine


@dataclass(frozen=True)
class Session:
    """What an ordinary pytest session of a small suite came to."""

    code: int
    printed: str
    outcomes: dict[str, tuple[str, str]]  # test name: passed, failure, error or skipped; and the text

    def failure(self, name: str) -> str:
        """Why a test failed."""
        outcome, text = self.outcomes[name]
        assert outcome == "failure", self.printed
        return text


def session(folder: Path, suite: str, *arguments: str, python: str = sys.executable, **environment: str) -> Session:
    """Run pytest on `suite`, written to tests/test_small.py, with the harness and warnings as errors."""
    tests = folder / "tests"
    tests.mkdir(exist_ok=True)
    (tests / "test_small.py").write_text(suite)
    (tests / "conftest.py").write_text('pytest_plugins = ["harness.plugin", "harness.honesty"]\n')
    (folder / "pytest.ini").write_text(
        f"[pytest]\ntestpaths = tests\npythonpath = {TESTS}\naddopts = --strict-markers\n"
        f"filterwarnings = error\nmpi_limit = {LIMIT}\n"
    )
    argv = [python, "-m", "pytest", "--junitxml=junit.xml", *arguments]
    done = subprocess.run(
        argv,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outcomes = {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):  # noqa: S314 (written by us)
        sign = next(iter(case), None)
        text = "" if sign is None else f"{sign.get('message')}\n{sign.text}"
        outcomes[case.attrib["name"]] = ("passed" if sign is None else sign.tag, text)
    return Session(done.returncode, done.stdout + done.stderr, outcomes)
