"""Running the `hpcjobs` command as a user does, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LIMIT_S = 120
LAUNCHER_VARIABLES = ("PMI_", "PMIX_", "OMPI_", "SLURM_", "HYDRA_", "MPIR_")


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without a launcher's variables or our cache of kernels, with a state folder of the test's own."""
    dropped = (*LAUNCHER_VARIABLES, "NUMBA_CACHE_DIR")  # another user could not write to it, and finds his own
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return kept | {"XDG_STATE_HOME": str(home / "state"), "COLUMNS": "120"} | dict(extra or {})


def start(cwd: Path, *arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start `hpcjobs ARGUMENTS` in `cwd`."""
    argv = [sys.executable, "-m", "hpcjobs", *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=clean_environment(cwd, env),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_signals,
    )


def heed_signals() -> None:
    """A test runner in the background ignores these, and what it starts would as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def hpcjobs(
    cwd: Path, *arguments: object, code: int = 0, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `hpcjobs ARGUMENTS` in `cwd` and check its exit code."""
    process = start(cwd, *arguments, env=env)
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        raise
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}\n{out}\n{err}"
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def story(cwd: Path, what: object) -> dict[str, Any]:
    """What `hpcjobs show --json` tells."""
    told: dict[str, Any] = json.loads(hpcjobs(cwd, "show", what, "--json").stdout)
    return told


def refused(cwd: Path, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    """The one message of a command that must fail as the user's mistake, without a traceback."""
    ended = hpcjobs(cwd, *arguments, code=2, env=env)
    errors = [line for line in ended.stderr.splitlines() if line.startswith("hpcjobs: error: ")]
    assert len(errors) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return errors[0].removeprefix("hpcjobs: error: ")


def wait_until(condition: Callable[[], Any], what: str, limit_s: float = 30) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        time.sleep(0.02)
