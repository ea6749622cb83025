"""A signal to anyone stops the run at a checkpoint with exit code 75; resuming ends with the undisturbed digest."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from command import hpcjobs, start, story, wait_until

ITERATIONS = 60
KMEANS = ("run", "kmeans", "--data", "b.h5", "--clusters", 64, "--init", "random", "--tolerance", 0)
GRACEFUL = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and the digest of an undisturbed run on one rank."""
    made = tmp_path_factory.mktemp("signals")
    shape = ("--rows", 150_000, "--columns", 12, "--centres", 30, "--spread", 30)  # slow to converge
    hpcjobs(made, "data", "generate", "blobs", "b.h5", *shape)
    hpcjobs(made, *KMEANS, "--max-iterations", ITERATIONS, "--out", "undisturbed")
    return made


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def processes(parent: int) -> dict[str, int]:
    """The parent of `run -n`, the launcher below it, and a rank at the end of the chain."""
    launcher = children(parent)[0]
    ranks = children(children(launcher)[0])
    return {"parent": parent, "launcher": launcher, "rank": sorted(ranks)[-1]}


def begin(folder: Path, name: str, *flags: object) -> "subprocess.Popen[str]":
    """Start a run that takes long, and wait until it has done some iterations."""
    process = start(folder, *KMEANS, "--max-iterations", 100_000, "--checkpoint-every", 5, "--out", name, *flags)
    wait_until(lambda: list((folder / name).glob("checkpoints/step-*.h5")), "a checkpoint")
    return process


@pytest.mark.parametrize(
    ("who", "number"),
    [(who, number) for who in ("plain", "parent", "rank") for number in GRACEFUL]
    + [("launcher", number) for number in GRACEFUL[:3]],
)
def test_a_signal_stops_the_run_at_a_checkpoint(folder: Path, who: str, number: signal.Signals) -> None:
    name = f"{who}-{number.name}"
    with begin(folder, name, *(() if who == "plain" else ("-n", 2))) as process:
        target = process.pid if who == "plain" else processes(process.pid)[who]
        os.kill(target, number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert "continue with: hpcjobs resume" in err
    told = json.loads((folder / name / "outcome.json").read_text())
    assert told["state"] == "stopped"
    step = max(int(path.stem[5:]) for path in (folder / name / "checkpoints").glob("step-*.h5"))
    assert told["attempts"][-1]["last_step"] == step
    assert not (folder / name / "lease").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_a_launcher_that_would_die_of_a_signal_ignores_it(folder: Path, number: signal.Signals) -> None:
    with begin(folder, f"ignored-{number.name}", "-n", 2) as process:
        os.kill(processes(process.pid)["launcher"], number)
        os.kill(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err


@pytest.mark.parametrize("ranks", [(), ("-n", 2)])
def test_a_second_interrupt_ends_the_run_at_once(folder: Path, ranks: tuple[object, ...]) -> None:
    name = f"twice{len(ranks)}"
    with begin(folder, name, *ranks) as process:
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    # The first may have stopped the run before the second came.
    assert process.returncode in (1, 75, 130)


@pytest.mark.parametrize("who", ["plain", "parent", "launcher", "rank"])
def test_a_killed_run_is_resumed_to_the_same_digest(folder: Path, who: str) -> None:
    name = f"killed-{who}"
    flags = ("--max-iterations", ITERATIONS, "--checkpoint-every", 5, "--out", name)
    ranks = () if who == "plain" else ("-n", 2)
    with start(folder, *KMEANS, *flags, *ranks) as process:
        wait_until(lambda: list((folder / name).glob("checkpoints/step-*.h5")), "a checkpoint")
        os.kill(process.pid if who == "plain" else processes(process.pid)[who], signal.SIGKILL)
        process.communicate(timeout=30)
    assert process.returncode != 0
    hpcjobs(folder, "resume", name, "-n", 3)
    told = story(folder, name)
    assert told["digest"] == story(folder, "undisturbed")["digest"]
    assert told["history"]["step"] == list(range(1, ITERATIONS + 1))
    if who == "launcher":  # its ranks died before they could tell
        assert [attempt["reason"] for attempt in told["attempts"]][-1] == "finished"
    if who == "plain":
        assert [attempt["reason"] for attempt in told["attempts"]] == ["killed", "finished"]


def test_a_rank_that_crashes_ends_all_and_the_reason_is_told(folder: Path) -> None:
    with begin(folder, "crash", "-n", 3) as process:
        os.kill(processes(process.pid)["rank"], signal.SIGSEGV)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "continue with: hpcjobs resume" in err
    told = json.loads((folder / "crash" / "outcome.json").read_text())
    assert told["state"] == "failed"
    assert "rank was killed or crashed" in told["reason"]
