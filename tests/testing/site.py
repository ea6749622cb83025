"""A cluster as a user of it sees it: the pretended one and a real one are held to the same promises by this handle."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Site:
    """Slurm's commands in one folder and environment; a minute of time limits lasts `minute` seconds here."""

    folder: Path
    env: Mapping[str, str]
    minute: float = 60.0

    def call(self, *argv: object, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command and return how it ended."""
        texts = [str(argument) for argument in argv]
        return subprocess.run(
            texts, cwd=self.folder, env=self.env, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def ask(self, *argv: object) -> str:
        """Run a command that must succeed, and return what it prints."""
        ended = self.call(*argv)
        assert ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def refused(self, *argv: object) -> str:
        """What a command that must fail says on stderr."""
        ended = self.call(*argv)
        assert ended.returncode != 0, f"{argv}: {ended.stdout}"
        assert ended.stdout == ""
        return ended.stderr

    def script(self, name: str, *lines: str) -> str:
        """Write a batch script."""
        (self.folder / name).write_text("\n".join(["#!/bin/bash", *lines, ""]))
        return name

    def submit(self, *argv: object) -> int:
        """Submit a job; returns its number."""
        return int(self.ask("sbatch", "--parsable", *argv).split(";")[0])

    def wrap(self, command: str, *options: object) -> int:
        """Submit one line of shell, its log in out."""
        return self.submit("--output=out", "--open-mode=append", *options, f"--wrap={command}")

    def show(self, job: object) -> dict[str, str]:
        """What scontrol tells of a job."""
        words = self.ask("scontrol", "show", "job", "-o", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def state(self, job: object) -> str:
        return self.show(job)["JobState"]

    def queue(self, form: str, *options: object) -> list[str]:
        """The lines of squeue."""
        ended = self.call("squeue", "--noheader", f"--format={form}", *options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    def account(self, fields: str, *options: object) -> list[list[str]]:
        """The lines of sacct, cut into fields."""
        lines = self.ask("sacct", "--noheader", "--parsable2", f"--format={fields}", *options).splitlines()
        return [line.split("|") for line in lines]

    def wait(self, job: object, *states: str, limit_s: float = 30) -> None:
        """Wait until a job is in one of some states."""
        self.until(lambda: self.state(job) in states, f"job {job} to be {states}", limit_s)

    def until(self, condition: Callable[[], object], what: str, limit_s: float = 30) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"waited {limit_s} s for {what}\n{self.text('out')}"
            time.sleep(0.05)

    def text(self, name: str) -> str:
        """A file of the folder; empty if it is not there."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def says(self, words: str, name: str = "out") -> None:
        """Wait until a log says something."""
        self.until(lambda: words in self.text(name), f"{words!r} in {name}")


def real(folder: Path) -> Site:
    """The cluster of this machine."""
    return Site(folder, dict(os.environ))
