"""Taxi: fetch a passenger at one of four places of a 5 x 5 grid with walls, and deliver him at another."""

import itertools

import numpy as np

from hpcjobs.rl.table import Table, pack

# Between two cells of a row stands ":" where one may pass.
ROWS = ("|R: | : :G|", "| : | : : |", "| : : : : |", "| | : | : |", "|Y| : |B: |")
PLACES = ((0, 0), (0, 4), (4, 0), (4, 3))
IN_TAXI = 4
ACTIONS = ("south", "north", "east", "west", "pick up", "drop off")
TIME_LIMIT = 200


def make(time_limit: int = TIME_LIMIT) -> Table:
    """The table: state ((row * 5 + column) * 5 + passenger) * 4 + destination."""
    transitions: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
    first = np.zeros(500)
    for row, column, passenger, destination in itertools.product(range(5), range(5), range(5), range(4)):
        state = _encode(row, column, passenger, destination)
        transitions[state] = {
            action: [(1.0, *_step(row, column, passenger, destination, action))] for action in range(6)
        }
        first[state] = passenger != IN_TAXI and passenger != destination
    return pack("Taxi", transitions, first / first.sum(), time_limit, ACTIONS)


def _encode(row: int, column: int, passenger: int, destination: int) -> int:
    return ((row * 5 + column) * 5 + passenger) * 4 + destination


def _step(row: int, column: int, passenger: int, destination: int, action: int) -> tuple[int, float, bool]:
    """Next state, reward, and whether the passenger is delivered."""
    here, reward, delivered = (row, column), -1.0, False
    if action == 0:
        row = min(row + 1, 4)
    elif action == 1:
        row = max(row - 1, 0)
    elif action == 2 and ROWS[row][2 * column + 2] == ":":
        column += 1
    elif action == 3 and ROWS[row][2 * column] == ":":
        column -= 1
    elif action == 4:
        if passenger != IN_TAXI and here == PLACES[passenger]:
            passenger = IN_TAXI
        else:
            reward = -10.0
    elif action == 5:
        if here == PLACES[destination] and passenger == IN_TAXI:
            passenger, reward, delivered = destination, 20.0, True
        elif here in PLACES and passenger == IN_TAXI:
            passenger = PLACES.index(here)
        else:
            reward = -10.0
    return _encode(row, column, passenger, destination), reward, delivered
