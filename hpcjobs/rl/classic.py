"""CartPole, MountainCar and Acrobot as environments to be played: by their numbers, or by the cells of a grid."""

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.kernels import classic as kernels
from hpcjobs.rl.simulator import Inner, Simulator, Stepped

ACTIONS = {
    "CartPole": ("left", "right"),
    "MountainCar": ("back", "coast", "forth"),
    "Acrobot": ("turn by -1", "let go", "turn by 1"),
}
# Half of the width of each number of a state around its middle; what lies beyond is in the outermost cells.
MIDDLES = {"CartPole": (0.0,) * 4, "MountainCar": (-0.3, 0.0), "Acrobot": (0.0,) * 4}
REACHES = {
    "CartPole": (2.4, 3.0, 12 * np.pi / 180, 3.0),
    "MountainCar": (0.9, 0.07),
    "Acrobot": (np.pi, np.pi, 4 * np.pi, 9 * np.pi),
}
MOST_STATES = 2**24


def make(name: str, bins: int = 0, time_limit: int = 0) -> Simulator:
    """An environment whose numbers are cut into `bins` equal cells each; with 0 its states have no numbers."""
    which = kernels.NAMES.index(name)
    middle, reach = (np.array(found[name])[:, None] for found in (MIDDLES, REACHES))
    states = bins ** len(middle)
    if states > MOST_STATES:
        raise SettingsError(f"--bins {bins}: {bins}^{len(middle)} states are more than {MOST_STATES}; take fewer")

    def step(inner: Inner, action: NDArray[np.int32], _: NDArray[np.uint32]) -> Stepped:
        flags = np.zeros(len(action), dtype=np.uint8)
        kernels.STEPS[name](inner, action, flags)
        ended = flags == 1
        if name == "CartPole":
            return np.ones(len(action)), ended
        return np.where(ended & (name == "Acrobot"), 0.0, -1.0), ended

    def observe(inner: Inner) -> NDArray[np.int64]:
        cells = np.clip(((inner - middle) / reach + 1) * (bins / 2), 0, bins - 1).astype(np.int64)
        found: NDArray[np.int64] = np.ravel_multi_index(tuple(cells), (bins,) * len(cells))
        return found

    def features(inner: Inner) -> NDArray[np.float32]:
        scaled = (inner - middle) / reach
        if name == "Acrobot":
            seen = np.empty((4, inner.shape[1]))
            kernels.circles(inner, seen)
            scaled = np.concatenate([seen, scaled[2:]])
        return np.ascontiguousarray(scaled.T, dtype=np.float32)

    return Simulator(
        name=name,
        states=states,
        actions=ACTIONS[name],
        time_limit=time_limit or kernels.TIME_LIMITS[name],
        digest=f"{name}, {bins} bins",
        start=lambda words: kernels.start(words, which),
        step=step,
        observe=observe,
        features=features,
    )
