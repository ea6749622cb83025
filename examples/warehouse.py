"""An environment of one's own: a robot fetches a parcel in a warehouse and brings it to the door; it slips at times.

hpcjobs run qlearning --env examples/warehouse.py:Warehouse --algorithm counts --steps 1e5
hpcjobs check-env examples/warehouse.py:Warehouse
"""

from typing import Any

from numba import njit

ROWS, COLUMNS = 5, 6
CELLS = ROWS * COLUMNS
SHELF, DOOR = 4, 25  # the cells where the parcel lies, and where it is to go


class Warehouse:
    """What hpcjobs looks for; `words` are four random numbers below 2^32, and all chance there is."""

    states = 2 * CELLS  # the cell, plus CELLS if the parcel is on board
    actions = ("up", "right", "down", "left")
    time_limit = 100
    parameters = 0.1  # how often the robot slips and stays where it is; a number or an array

    @staticmethod
    @njit
    def reset(words: Any, parameters: Any) -> Any:
        """The first state of an episode."""
        return words[0] % CELLS

    @staticmethod
    @njit
    def step(state: Any, action: Any, words: Any, parameters: Any) -> Any:
        """Next state, reward, and whether that ends the episode."""
        cell, loaded = state % CELLS, state // CELLS
        row, column = cell // COLUMNS, cell % COLUMNS
        if words[0] * 2.0**-32 >= parameters:
            if action == 0:
                row = max(row - 1, 0)
            elif action == 1:
                column = min(column + 1, COLUMNS - 1)
            elif action == 2:
                row = min(row + 1, ROWS - 1)
            else:
                column = max(column - 1, 0)
        cell = row * COLUMNS + column
        if cell == SHELF:
            loaded = 1
        delivered = cell == DOOR and loaded == 1
        return cell + loaded * CELLS, 10.0 if delivered else -1.0, delivered
