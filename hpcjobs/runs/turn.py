"""Taking turns: one command at a time decides what is sent to Slurm for a folder."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from hpcjobs.errors import RunFolderError
from hpcjobs.runs.process import boot_id, myself, start_ticks

# sbatch is given a minute for its answer, three times; a command on another host that holds its turn longer is dead.
PATIENCE_S = 240.0
LOOK_S = 0.2


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Hold the turn of a folder; another command that holds it is waited for, one that died is passed over."""
    path, draft = folder / ".submitting.tmp", folder / f".submitting.{secrets.token_hex(4)}.tmp"
    content = json.dumps(myself())
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            draft.write_text(content)
            try:
                os.link(draft, path)  # fails if it exists; appears with all its content
                break
            finally:
                draft.unlink()
        except FileExistsError:
            if _abandoned(path):
                path.unlink(missing_ok=True)
            elif time.monotonic() > deadline:
                raise RunFolderError(
                    f"{folder}: another command is submitting or cancelling it; try again when it has ended"
                ) from None
            else:
                time.sleep(LOOK_S)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text() == content:
                path.unlink()


def _abandoned(path: Path) -> bool:
    """Whether the process that holds a turn is gone."""
    try:
        holder, age = json.loads(path.read_text()), time.time() - path.stat().st_mtime
        here = myself()
        if (holder["host"], holder["space"]) == (here["host"], here["space"]):
            return bool(holder["boot"] != boot_id() or start_ticks(holder["pid"]) != holder["started"])
        return age > PATIENCE_S
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True
