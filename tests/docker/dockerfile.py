"""Reading the part of the Dockerfile language that our images use; anything else is refused, not guessed."""

import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

WORDS = ("FROM", "RUN", "COPY", "ENV", "ARG", "WORKDIR", "USER", "ENTRYPOINT", "CMD")
FROM = re.compile(r"(\S+:\S+?)(?: AS (\w+))?")
ASSIGNMENT = re.compile(r"(\w+)=([^\s\"'\\]*)")
FLAG = re.compile(r"--(\w+)=(\S+)\s+")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    word: str
    text: str

    def assignments(self) -> dict[str, str]:
        """What ENV or ARG sets."""
        pairs = [ASSIGNMENT.fullmatch(text) for text in self.text.split()]
        assert all(pairs), f"{self.word} {self.text}: only NAME=VALUE without quotes is read"
        return {pair[1]: pair[2] for pair in pairs if pair}

    def copied(self) -> tuple[str, tuple[str, ...], str]:
        """The stage that COPY takes from ("" for the checkout), what it takes, and where it goes."""
        flag = FLAG.match(self.text)
        assert flag is None or flag[1] == "from", f"COPY {self.text}: only --from is read"
        *sources, target = self.text[flag.end() if flag else 0 :].split()
        assert not any(set(source) & set("*?[") for source in sources), f"COPY {self.text}: no patterns are read"
        return flag[2] if flag else "", tuple(sources), target

    def argv(self) -> tuple[str, ...]:
        """The command of ENTRYPOINT or CMD, which must be a JSON list."""
        return tuple(json.loads(self.text))


@dataclass(frozen=True)
class Stage:
    """What one FROM begins."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.word == word]


def read(path: Path) -> tuple[Stage, ...]:
    """The stages of a Dockerfile, the image last."""
    stages: list[Stage] = []
    for instruction in _instructions(path):
        if instruction.word == "FROM":
            found = FROM.fullmatch(instruction.text)
            assert found, f"{path}: FROM {instruction.text}: expected IMAGE:TAG [AS NAME]"
            stages.append(Stage(found[1], found[2] or "", ()))
            continue
        assert stages, f"{path}: {instruction.word} before the first FROM is not read"
        last = stages[-1]
        stages[-1] = Stage(last.base, last.name, (*last.instructions, instruction))
    return tuple(stages)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}` replaced; a name that nothing set is an error, where an engine would put nothing."""
    return string.Template(text).substitute(variables)


def _instructions(path: Path) -> Iterator[Instruction]:
    joined = ""
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue  # also between continuation lines, as engines do
        joined += line.rstrip().removesuffix("\\")
        if line.rstrip().endswith("\\"):
            continue
        word, _, text = joined.strip().partition(" ")
        assert word in WORDS, f"{path}: {word} is not read"
        assert "<<" not in text, f"{path}: {word} {text}: no heredocs are read"
        assert not text.startswith("--mount"), f"{path}: {word} {text}: no mounts are read"
        yield Instruction(word, text.strip())
        joined = ""
    assert not joined, f"{path} ends in the middle of an instruction"
