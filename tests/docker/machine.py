"""What this machine lends to an image that is built on it: Debian's mirror, the Python packages' registry, the network.

Where they are is read from apt and pip as they are set up here; no address is written down in the tests.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
APT_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Retries")
TARGETS = ("apt-get", "indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)", "Identifier: Packages")
LENT = "/mnt"  # where the root of an image sees the machine's own folders, read-only, while a command runs
FILE = "file://"


@dataclass(frozen=True)
class Registry:
    """Where pip finds packages: its settings as variables, and the folders and files they name, as LENT/0, 1, ..."""

    env: dict[str, str]
    lent: tuple[Path, ...]


def ask(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def mirror() -> str | None:
    """The address from which apt here gets Debian, if it does."""
    for line in ask(*TARGETS).splitlines():
        label, component, address = line.split(" ", 2)
        if (label, component) == ("Debian", "main"):
            return address
    return None


def apt_settings() -> str:
    """How apt here gets through to its mirror."""
    lines = ask("apt-config", "dump").splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(APT_SETTINGS))


def registry() -> Registry:
    """The settings of pip here, in words that hold inside another root."""
    settings = {key: os.environ[key] for key in PROXIES if key in os.environ}
    lent: list[Path] = []
    for line in ask(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        key = "PIP_" + name.rpartition(".")[2].upper().replace("-", "_")
        settings[key] = " ".join(_lend(word, lent) for word in value.strip("'\"").split())
    return Registry(settings, tuple(lent))


def _lend(word: str, lent: list[Path]) -> str:
    """A path of this machine, or the address of a folder of its, as the other root will see it."""
    path = Path(word.removeprefix(FILE))
    if not path.is_absolute() or not path.exists():
        return word
    # The pages of an index on disk name files beside it.
    folder = path.parent if word.startswith(FILE) else path
    if folder not in lent:
        lent.append(folder)
    inside = f"{LENT}/{lent.index(folder)}" + (f"/{path.name}" if folder != path else "")
    return FILE + inside if word.startswith(FILE) else inside
