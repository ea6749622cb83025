"""Arrays that are used again at every step: fresh memory would cost more than filling it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Room:
    """Arrays by name; one of another shape or type replaces the one before."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._rooms: dict[object, Room] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array of any content."""
        found = self._arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self._arrays[name] = np.empty(shape, dtype=dtype)
        return found

    def zeros(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array of zeros."""
        found = self.empty(name, shape, dtype)
        found[...] = 0
        return found

    def rows(self, name: str, count: int, length: int, dtype: Any) -> NDArray[Any]:
        """An array (count, length) of any content: the first rows of one that only grows."""
        found = self._arrays.get(name)
        if found is None or len(found) < count or found.shape[1] != length or found.dtype != dtype:
            found = self._arrays[name] = np.empty((count, length), dtype=dtype)
        return found[:count]

    def inside(self, name: object) -> "Room":
        """A room of its own, such as that of one layer and shard."""
        if name not in self._rooms:
            self._rooms[name] = Room()
        return self._rooms[name]
