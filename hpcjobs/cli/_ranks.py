"""`-n` for verbs that need no run folder: the command starts itself on ranks."""

from hpcjobs.cli.run import add_ranks
from hpcjobs.errors import SettingsError
from hpcjobs.launch import local
from hpcjobs.parallel.census import refuse_singletons
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.starter import world

__all__ = ["add_ranks", "here", "refuse", "started"]


def started(command: list[str], argv: list[str], ranks: str | None) -> int | None:
    """Run `hpcjobs COMMAND ...` on `ranks` ranks; its exit code, or None when this process does the work."""
    local.check(ranks)
    if ranks is None:
        return None
    return local.launch_command([*command, *without_ranks(argv)], ranks)


def refuse(ranks: str | None) -> None:
    """A job has as many ranks as its tasks."""
    if ranks is not None:
        raise SettingsError(f"-n {ranks}: the ranks of a job are its tasks; say --ntasks {ranks}")


def here() -> Communicator:
    """The communicator of the ranks that this process is one of."""
    communicator = world()
    refuse_singletons(communicator)
    return communicator


def without_ranks(argv: list[str]) -> list[str]:
    """The words of a command less `-n RANKS`, `-nRANKS`, `--ranks RANKS` and `--ranks=RANKS`.

    >>> without_ranks(["a.csv", "-n", "4", "b.h5", "--ranks=4"])
    ['a.csv', 'b.h5']
    """
    kept: list[str] = []
    words = iter(argv)
    for word in words:
        if word in ("-n", "--ranks"):
            next(words, None)
        elif not (word.startswith("--ranks=") or (word.startswith("-n") and word[2:].lstrip("=").isdigit())):
            kept.append(word)
    return kept
