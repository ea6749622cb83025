"""How sure a measure is: intervals from rows drawn again and again (Efron's bootstrap, percentiles)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.nn.measures import overall, rankings
from hpcjobs.parallel.communicator import Communicator
from hpcjobs.parallel.randomness import uniforms
from hpcjobs.parallel.shards import piece

Floats = NDArray[np.float64]
PERCENTILES = (2.5, 97.5)
MEASURES = ("accuracy", "macro_f1", "macro_roc_auc")


def intervals(
    truth: NDArray[Any], probabilities: Floats, seed: int, samples: int, communicator: Communicator
) -> Floats:
    """The span (measures, 2) that holds 95 % of the samples, for each of MEASURES; NaN where none has a value.

    `truth` (rows,) and `probabilities` (rows, classes) are those of all rows. Ranks share the samples, each of which is
    drawn from the seed and its own number. Collective.
    """
    labels, ranked, rows = probabilities.argmax(axis=1), rankings(truth, probabilities), len(truth)
    own = piece(samples, communicator.size, communicator.rank)
    found = np.empty((len(own), len(MEASURES)))
    for place, sample in enumerate(range(own.start, own.stop)):
        counts = np.bincount((uniforms(seed, "bootstrap", sample, 0, rows) * rows).astype(np.int64), minlength=rows)
        found[place] = overall(truth, labels, ranked, counts)
    every = np.concatenate(communicator.allgather_object(found))
    ends = np.full((len(MEASURES), 2), np.nan)
    for number, column in enumerate(every.T):
        known = column[np.isfinite(column)]
        if len(known):
            ends[number] = np.percentile(known, PERCENTILES)
    return ends
