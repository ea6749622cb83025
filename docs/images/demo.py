"""Makes docs/images/demo.svg from a real run: python docs/images/demo.py"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
COMMANDS = (
    "hpcjobs data import example:digits.csv digits.h5 --target digit",
    "hpcjobs run kmeans --data digits.h5 --clusters 10 --restarts 10 -n 2",
    "hpcjobs show last",
)


def on_terminal(argv: list[str], cwd: Path) -> str:
    """What a command prints on a terminal, with the lines that it drew over left out."""
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(cwd / "state"),
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
    }
    ours, theirs = pty.openpty()
    with subprocess.Popen(argv, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        content = b""
        while True:
            try:
                content += os.read(ours, 2**16)
            except OSError:  # the command has closed the terminal
                break
    lines = content.decode().replace("\r\n", "\n").split("\n")
    return "\n".join(re.split("\r\033\\[K", line)[-1] for line in lines).strip("\n")


def main() -> None:
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: PTH123
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "digits"
        work.mkdir()
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            shown = on_terminal(command.split(), work).replace(str(work), "~/digits")
            console.print(Text.from_ansi(shown))
    Path(__file__).with_suffix(".svg").write_text(console.export_svg(title="hpcjobs"))


if __name__ == "__main__":
    main()
