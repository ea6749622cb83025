"""Running a program that may crash, hang or leave children: an answer in bounded time, and nothing left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpcjobs.launch.local import die_with_parent
from hpcjobs.launch.slurm.command import Answer

TERM_S = 3.0  # what mpiexec needs to end its ranks
LONGEST = 300


def run(argv: Sequence[str], limit_s: float, environment: Mapping[str, str] | None = None) -> Answer:
    """What a program says, whatever becomes of it; it and what it started are ended after `limit_s`."""
    try:
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_prepare,
        )
    except OSError as error:
        return Answer(127 if isinstance(error, FileNotFoundError) else 126, "", f"{argv[0]}: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=TERM_S)
            return Answer(None, "", f"{Path(argv[0]).name} gave no answer within {limit_s:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return Answer(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def python(words: Sequence[str], limit_s: float, environment: Mapping[str, str] | None = None) -> Answer:
    """The same of our Python: `["-c", code]` or `["-m", module]`."""
    return run([sys.executable, "-P", *words], limit_s, environment)


def last_object(text: str) -> dict[str, Any]:
    """The last line that is a JSON object, {} without one; other things may have been printed around it."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}


def telling(text: str) -> str:
    """The most telling line of an error output: the last that names an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line]
    return (errors or lines or [""])[-1][:LONGEST]


def _prepare() -> None:
    die_with_parent(signal.SIGTERM)
