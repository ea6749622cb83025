"""Stand-ins for squeue, sacct and scontrol on PATH: they print what a test has written, and journal their calls."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = """#!{python} -S
import sys
from pathlib import Path
home, name = Path({home!r}), Path(sys.argv[0]).name
with open(home / "journal", "a") as journal:
    journal.write(" ".join([name, *sys.argv[1:]]) + "\\n")
by_name = [option for option in sys.argv[1:] if option.startswith("--jobs=")]
told = home / (name + ".named" if name == "squeue" and by_name else name)
code, _, text = told.read_text().partition("\\n") if told.exists() else ("0", "", "")
print(text, end="", file=sys.stdout if code == "0" else sys.stderr)
sys.exit(int(code))
"""


@dataclass(frozen=True)
class Commands:
    """What the commands say, and how often they were called."""

    folder: Path

    def say(self, name: str, text: str, code: int = 0) -> None:
        """Let `squeue`, `squeue.named` (with --jobs), `sacct` or `scontrol` answer so from now on."""
        (self.folder / name).write_text(f"{code}\n{text}")

    def calls(self, name: str) -> list[str]:
        journal = self.folder / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [line for line in lines if line.split(" ")[0] == name]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Put the stand-ins on PATH."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("squeue", "sacct", "scontrol", "sbatch"):
        program = programs / name
        program.write_text(SCRIPT.format(python=sys.executable, home=str(folder)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return Commands(folder)
