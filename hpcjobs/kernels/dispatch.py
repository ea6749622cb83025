"""How a kernel finds its twin: by the type of its first array.

The function under `@kernel` is the definition, in NumPy. For NumPy arrays the Numba function of the same name
in `kernels/cpu/` runs instead. `HPCJOBS_KERNELS=reference` runs the definitions themselves: slow, for
comparison.
"""

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

HOMES = {"numpy": "hpcjobs.kernels.cpu"}


class Kernel(Generic[P, R]):
    """A public kernel: call it and the twin for the array runs; `.reference` is the definition."""

    def __init__(self, reference: Callable[P, R]) -> None:
        self.reference = reference
        self._topic = reference.__module__.rpartition(".")[2]
        self._name = reference.__name__
        functools.update_wrapper(self, reference)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.twin(args[0])(*args, **kwargs)

    def twin(self, array: Any) -> Callable[P, R]:
        """The implementation that runs for arrays of this type."""
        if os.environ.get("HPCJOBS_KERNELS") == "reference":
            return self.reference
        found: Callable[P, R] = _find(type(array).__module__.partition(".")[0], self._topic, self._name)
        return found


def kernel(reference: Callable[P, R]) -> Kernel[P, R]:
    """Make a NumPy definition the public name of a kernel with twins."""
    return Kernel(reference)


@functools.cache
def _find(library: str, topic: str, name: str) -> Any:
    if library not in HOMES:
        raise TypeError(f"no kernels for arrays of {library}; there are some for: {', '.join(HOMES)}")
    return getattr(importlib.import_module(f"{HOMES[library]}.{topic}"), name)
