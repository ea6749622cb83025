"""Whether two machines give the same floating-point bits: their numerics fingerprints, compared."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpcjobs.errors import LaunchError, RunFolderError

ANYWAY = "allow it with --allow-other-numerics, which is recorded (the bits will then be those of neither)"


def refuse_mixed(here: Mapping[str, Any]) -> None:
    """Stop when ranks run on CPUs or BLAS kernels of several kinds."""
    for key, what in (("processor", "CPUs"), ("blas", "BLAS kernels")):
        if len(here[key]) > 1:
            raise LaunchError(
                f"the ranks have {what} of several kinds, {', '.join(here[key])}: trained weights would depend on "
                f"which rank lies where; ask for nodes of one kind, or {ANYWAY}"
            )


def refuse_other(path: Path, saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Stop when a checkpoint comes from other libraries, another BLAS kernel or another CPU."""
    other = [f"{key}: {_told(saved.get(key))} -> {_told(here[key])}" for key in here if saved.get(key) != here[key]]
    if other:
        raise RunFolderError(
            f"{path}: was made where floating-point numbers are computed otherwise ({'; '.join(other)}); "
            f"continue where it was begun, or {ANYWAY}"
        )


def _told(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else json.dumps(value, sort_keys=True)
