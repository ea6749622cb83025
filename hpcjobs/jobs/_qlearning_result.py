"""What a Q-learning run leaves and how it is told: the learned table beside the exact optimum."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data.schema import Variable, text, texts
from hpcjobs.report.kinds import Curve, Figure, Images, Line, Material
from hpcjobs.rl.learning import Learner
from hpcjobs.rl.planning import Optimum, earned, greedy_policy, solve
from hpcjobs.rl.position import Position
from hpcjobs.rl.table import Table

ARROWS = {"left": "←", "down": "↓", "right": "→", "up": "↑"}
SHOWN = 60  # rows and columns of a map that a terminal has room for
MOST_CELLS = 4096  # of a map as an image


def logged(learner: Learner, table: Table, best: Optimum, states: NDArray[np.bool_], at: Position) -> dict[str, float]:
    """The row of the history: what the greedy policy would earn, exactly, and how far its values are off."""
    return {
        "return": earned(table, greedy_policy(at.q)),
        "environment_steps": at.rounds * learner.steps_of_round,
        "epsilon": learner.exploring(at.rounds - 1),
        "error": _error(best, states, at.q),
    }


def _error(best: Optimum, states: NDArray[np.bool_], q: NDArray[np.float64]) -> float:
    return float(np.abs(q - best.q)[states].max())


def finish(
    learner: Learner, table: Table, best: Optimum, states: NDArray[np.bool_], at: Position, steps: int
) -> dict[str, Variable]:
    """The `/result` data sets. `counts` is solved to the end, without bonus; states without an action are worth 0."""
    q = at.q.copy()
    if learner.algorithm == "counts":
        solve(q, at.counts, table, learner.gamma)
    q[~states] = 0.0
    policy = greedy_policy(q)
    found = earned(table, policy)
    visited = at.visits[states] > 0
    pair, state = ("state", "action"), ("state",)
    content = {
        "/result/action": Variable(("action",), texts(table.actions), "what an agent can do"),
        "/result/q": Variable(pair, q, "learned value of an action in a state"),
        "/result/visits": Variable(pair, at.visits, "how often an action was taken in a state"),
        "/result/policy": Variable(state, policy, "number of the best action, the first of equals"),
        "/result/value": Variable(state, q.max(axis=1), "learned value of a state"),
        "/result/acts": Variable(state, states.astype(np.uint8), "1 for states in which an episode can be going on"),
        "/result/optimal_q": Variable(pair, best.q, "exact value of an action in a state"),
        "/result/optimal_value": Variable(state, best.value, "exact value of a state"),
        "/result/counts": Variable((*pair, "outcome"), at.counts, "how often an action had an outcome"),
        "/result/return": Variable((), np.array(found), "exact mean return of the policy within the time limit"),
        "/result/optimal_return": Variable((), np.array(best.earned), "the same of the optimal policy"),
        "/result/gap": Variable((), np.array(best.earned - found), "what the policy lacks to the optimal one"),
        "/result/error": Variable((), np.array(_error(best, states, q)), "largest difference of q and optimal q"),
        "/result/coverage": Variable((), np.array(visited.mean()), "share of state-action pairs that were tried"),
        "/result/steps": Variable((), np.array(steps), "environment steps"),
        "/result/time_limit": Variable((), np.array(table.time_limit), "steps after which an episode is cut off"),
        "/result/environment": Variable((), text(table.digest()), "SHA-256 of the environment's table"),
    }
    if table.map:
        content["/result/map"] = Variable(("map_row",), texts(table.map), "the map, row by row")
    return content


def described(result: Mapping[str, Any]) -> dict[str, str]:
    """Return, gap where the optimum is known, coverage, and the policy of a grid world as arrows."""
    if "optimal_return" not in result:
        return {
            "return": f"{result['return']:.6g} +- {result['return_error']:.2g} within {result['time_limit']} steps",
            "steps": f"{result['steps']}",
        }
    told = {
        "return": f"{result['return']:.6g} within {result['time_limit']} steps",
        "optimum": f"{result['optimal_return']:.6g} by the greedy policy of the exact values; gap {result['gap']:.3g}",
        "values": f"off by at most {result['error']:.3g}; {result['coverage']:.4g} of all pairs tried",
        "steps": f"{result['steps']}",
    }
    rows, policy = result.get("map"), result["policy"]
    if rows and isinstance(policy, list) and max(len(rows), len(rows[0])) <= SHOWN:
        told["policy"] = "\n".join(arrows(rows, policy, result["action"], result["acts"]))
    return told


def arrows(rows: Sequence[str], policy: Sequence[int], actions: Sequence[str], acts: Sequence[int]) -> list[str]:
    """The rows of a map with an arrow in each cell in which one can act; its letter in the others."""
    width = len(rows[0])
    return [
        "".join(ARROWS[actions[policy[y * width + x]]] if acts[y * width + x] else row[x] for x in range(width))
        for y, row in enumerate(rows)
    ]


def figures(material: Material) -> Iterator[Figure]:
    """The learning curve against environment steps, and maps of value and visits of a grid world."""
    history, found = material.history, material.result
    steps = history.get("environment_steps", [])
    for name, title in (("return", "Return"), ("error", "Error of the values")):
        values = history.get(name, [])
        if steps and len(values) == len(steps):
            lines = [Line(steps, values, "learned" if name == "return" else "")]
            if name == "return" and "optimal_return" in found:
                lines.append(Line([steps[0], steps[-1]], [float(found["optimal_return"])] * 2, "optimal", faint=True))
            told = f"{title.lower()} from {values[0]:.6g} to {values[-1]:.6g} in {steps[-1]:.6g} environment steps"
            yield Curve(title, f"The {told}.", f"Line chart: {told}.", lines, "environment steps", title.lower())
    yield from _maps(found)


def _maps(found: Mapping[str, NDArray[Any]]) -> Iterator[Figure]:
    """Value and visits of each cell as grey images."""
    rows, value, visits = found.get("map"), found.get("value"), found.get("visits")
    if rows is None or value is None or visits is None or rows.ndim != 1 or visits.ndim != 2 or not len(rows):
        return
    shape = (len(rows), len(value) // len(rows))
    if shape[0] * shape[1] != len(value) or len(visits) != len(value) or len(value) > MOST_CELLS:
        return
    times = np.log1p(visits.sum(axis=1).astype(np.float64))
    pictures = np.stack([_grey(value), _grey(times)]).reshape(2, *shape)
    told = f"value and (logarithm of) visits of each of {shape[0]} x {shape[1]} cells"
    caption = f"{told[0].upper()}{told[1:]}; the largest is white."
    yield Images("Maps", caption, f"Small images: {told}.", pictures, ["value", "visits"])


def _grey(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers from 0 to 1."""
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / ((high - low) or 1.0), dtype=np.float64)
