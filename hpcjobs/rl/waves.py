"""Observations as waves: cosines over all numbers at once, from which sharp edges of the values can be put together.

G. Konidaris, S. Osentoski, P. Thomas, "Value function approximation in reinforcement learning using the Fourier basis",
AAAI 2011.
"""

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.kernels.waves import waves
from hpcjobs.rl.simulator import Inner, Simulator

MOST = 4096


def with_waves(simulator: Simulator, order: int) -> Simulator:
    """The same environment, of whose numbers a network is told cosines too, of every order up to `order` in each.

    The numbers x between -1 and 1 stay in front; behind them come cos(pi k (x + 1) / 2), with k whole in each number.
    """
    look = simulator.features
    assert look is not None
    if order == 0:
        return simulator
    numbers = look(simulator.start(np.zeros((4, 1), dtype=np.uint32))).shape[1]
    if (order + 1) ** numbers > MOST:
        raise SettingsError(
            f"--pqn waves is {order}: {order + 1}^{numbers} waves are more than {MOST}; take fewer, or 0 for none"
        )
    orders = [order for order in itertools.product(range(order + 1), repeat=numbers) if any(order)]
    turns = np.array(orders, dtype=np.float32).T.copy()  # (numbers, waves)

    def features(inner: Inner) -> NDArray[np.float32]:
        plain = look(inner)
        found = np.empty((len(plain), numbers + len(orders)), dtype=np.float32)
        waves(plain, turns, found)
        return found

    return replace(simulator, features=features)
