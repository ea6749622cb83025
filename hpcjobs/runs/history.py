"""One row per logged step; lives in the checkpoint, so a resumed run can never repeat a row."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable


class History:
    """Columns of numbers over strictly increasing steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.columns: dict[str, list[float]] = {}

    def log(self, step: int, **values: float) -> None:
        """Add one row; every row has the same columns."""
        if self.steps and step <= self.steps[-1]:
            raise ValueError(f"history step {step} does not follow {self.steps[-1]}")
        self.steps.append(step)
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)

    def restore(self, steps: NDArray[np.int64], columns: dict[str, NDArray[np.float64]]) -> None:
        """Become the history of a checkpoint."""
        self.steps = [int(step) for step in steps]
        self.columns = {name: [float(value) for value in column] for name, column in columns.items()}

    def variables(self) -> dict[str, Variable]:
        """The rows as data sets; none before the first row."""
        if not self.steps:
            return {}
        found = {"/history/step": Variable(("step",), np.array(self.steps, dtype=np.int64), "iteration")}
        for name, column in self.columns.items():
            found[f"/history/{name}"] = Variable(("step",), np.array(column), name.replace("_", " "))
        return found
