"""FrozenLake: walk from S to G over a frozen lake F with holes H; a slippery floor may lead aside."""

from collections.abc import Sequence

import numpy as np

from hpcjobs.errors import SettingsError
from hpcjobs.rl.table import Table, pack

MAPS = {
    "FrozenLake": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "FrozenLake8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}
TIME_LIMITS = {"FrozenLake": 100, "FrozenLake8x8": 200}
ACTIONS = ("left", "down", "right", "up")
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
MOST_CELLS = 2**16


def parse(text: str) -> tuple[str, ...]:
    """The rows of a map given as SFFF,FHFH,FFFH,HFFG; SettingsError says what is wrong with it."""
    rows = tuple(text.strip().split(","))
    where = f"--map {text!r}"
    for number, row in enumerate(rows, 1):
        if wrong := set(row) - set("SFHG"):
            raise SettingsError(
                f"{where}: row {number} holds {sorted(wrong)[0]!r}; expected rows of S (start), F (frozen), H (hole) "
                "and G (goal), divided by commas"
            )
        if len(row) != len(rows[0]) or not row:
            raise SettingsError(f"{where}: row {number} has {len(row)} cells, row 1 has {len(rows[0])}; at least one")
    for letter, meaning in (("S", "start"), ("G", "goal")):
        if not any(letter in row for row in rows):
            raise SettingsError(f"{where}: has no {letter} ({meaning})")
    if len(rows) * len(rows[0]) > MOST_CELLS:
        raise SettingsError(f"{where[:40]}...: has {len(rows) * len(rows[0])} cells; at most {MOST_CELLS}")
    return rows


def make(name: str, rows: Sequence[str], slippery: bool, success_rate: float, time_limit: int) -> Table:
    """The table of a map. On a slippery floor a step goes where it should with `success_rate`, else to either side."""
    height, width = len(rows), len(rows[0])
    aside = (1.0 - success_rate) / 2.0
    transitions: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
    for row in range(height):
        for column in range(width):
            state = row * width + column
            transitions[state] = {}
            for action in range(4):
                if rows[row][column] in "GH":
                    transitions[state][action] = [(1.0, state, 0.0, True)]
                    continue
                ways = ((aside, action - 1), (success_rate, action), (aside, action + 1))
                found = []
                for chance, way in ways if slippery else ((1.0, action),):
                    down, right = MOVES[way % 4]
                    to = min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)
                    letter = rows[to[0]][to[1]]
                    found.append((chance, to[0] * width + to[1], float(letter == "G"), letter in "GH"))
                transitions[state][action] = found
    first = np.array([letter == "S" for row in rows for letter in row], dtype=np.float64)
    return pack(name, transitions, first / first.sum(), time_limit, ACTIONS, rows)
