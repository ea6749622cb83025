"""Options as GNU getopt reads them, without the weight of argparse."""

import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

FLAG, VALUE, MAYBE = 0, 1, 2  # takes no value, one, or one only after an equals sign


class Exit(Exception):  # noqa: N818 - an end, not always an error
    """The end of a command: its exit code, and what it says on stderr before."""

    def __init__(self, code: int, *lines: str) -> None:
        self.code = code
        self.lines = lines


def fail(code: int, *lines: str) -> NoReturn:
    raise Exit(code, *lines)


class Options:
    """What a command takes: long names, and the short ones that stand for them."""

    def __init__(self, command: str, kinds: Mapping[str, int], short: Mapping[str, str], unknown_code: int = 1) -> None:
        self.command = command
        self.kinds = kinds
        self.short = short
        self.unknown_code = unknown_code

    def parse(self, argv: Sequence[str], mixed: bool = True) -> tuple[dict[str, str], list[str]]:
        """Options by their long names, and the other words; unless `mixed`, all from the first such word on."""
        found: dict[str, str] = {}
        words: list[str] = []
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if word == "--":
                words += rest
                break
            if word.startswith("--"):
                self._long(word[2:], rest, found)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], rest, found)
            elif mixed:
                words.append(word)
            else:
                words += [word, *rest]
                break
        return found, words

    def _long(self, text: str, rest: list[str], found: dict[str, str]) -> None:
        given, equals, value = text.partition("=")
        fitting = [given] if given in self.kinds else [name for name in self.kinds if name.startswith(given)]
        if len(fitting) > 1:
            self._refuse(f"option '--{given}' is ambiguous")
        if not fitting:
            self._refuse(f"unrecognized option '--{given}'")
        name = fitting[0]
        if self.kinds[name] == FLAG and equals:
            self._refuse(f"option '--{name}' doesn't allow an argument")
        if self.kinds[name] == VALUE and not equals:
            if not rest:
                self._refuse(f"option '--{name}' requires an argument")
            value = rest.pop(0)
        found[name] = value

    def _short(self, letters: str, rest: list[str], found: dict[str, str]) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            name = self.short.get(letter)
            if name is None:
                self._refuse(f"invalid option -- '{letter}'")
            if self.kinds[name] == VALUE:
                if not letters and not rest:
                    self._refuse(f"option requires an argument -- '{letter}'")
                found[name] = letters or rest.pop(0)
                return
            if self.kinds[name] == MAYBE:
                found[name] = letters
                return
            found[name] = ""

    def _refuse(self, what: str) -> NoReturn:
        fail(self.unknown_code, f"{self.command}: {what}", f'Try "{self.command} --help" for more information')


def say(*lines: str) -> None:
    """Print to stderr, at once."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)
