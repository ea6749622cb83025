"""CliffWalking: from the lower left of 4 x 12 cells to the lower right; whoever falls is back at the start."""

import numpy as np

from hpcjobs.rl.table import Table, pack

ROWS = ("............", "............", "............", "SCCCCCCCCCCG")
ACTIONS = ("up", "right", "down", "left")
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
START, GOAL = 36, 47
TIME_LIMIT = 1000  # of ours: Gymnasium has none, and an early policy might never end


def make(slippery: bool, time_limit: int = TIME_LIMIT) -> Table:
    """The table; on a slippery floor a step goes to either side as often as where it should."""
    height, width = len(ROWS), len(ROWS[0])
    transitions: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
    for row in range(height):
        for column in range(width):
            transitions[row * width + column] = {}
            for action in range(4):
                ways = (action - 1, action, action + 1) if slippery else (action,)
                found = []
                for way in ways:
                    down, right = MOVES[way % 4]
                    to = min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)
                    if ROWS[to[0]][to[1]] == "C":
                        found.append((1.0 / len(ways), START, -100.0, False))
                    else:
                        after = to[0] * width + to[1]
                        found.append((1.0 / len(ways), after, -1.0, after == GOAL))
                transitions[row * width + column][action] = found
    first = np.zeros(height * width)
    first[START] = 1.0
    name = "CliffWalkingSlippery" if slippery else "CliffWalking"
    return pack(name, transitions, first, time_limit, ACTIONS, ROWS)
