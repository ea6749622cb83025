"""Where a run stands comes back from a checkpoint as it was, to the bit and the type."""

import numpy as np
import pytest

from hpcjobs.clustering.position import Best, Fit, Position
from hpcjobs.errors import SettingsError


def under_way() -> Position:
    """Three numbers of clusters, one of which looks like the beginning of another, in the second start."""
    centres = np.array([[-0.0, 1e-310]])
    fits = [
        Fit(1, centres, 3, True, np.array([2.5]), 1e-9, 4.5, 0.0),
        Fit(10, np.ones((10, 2)) / 3, 3, False, None, np.inf, 7.0, 0.25),
        Fit(2),
    ]
    best = {1: Best(5.0, centres * 2, 7, 0, True), 10: Best(8.0, np.ones((10, 2)), 9, 0, False)}
    return Position(fits, 1, best)


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_a_position_comes_back_as_it_was() -> None:
    at = under_way()
    back = Position.restore(at.state(20), (1, 10, 2), 20, 3)
    assert back.start == 1
    for ours, theirs in zip(at.fits, back.fits, strict=True):
        assert all(same(value, vars(theirs)[name]) for name, value in vars(ours).items())
    assert list(back.best) == [1, 10]
    for count, best in at.best.items():
        assert all(same(value, vars(back.best[count])[name]) for name, value in vars(best).items())


def test_a_state_holds_copies_of_numbers_only() -> None:
    at = under_way()
    state = at.state(20)
    assert all(isinstance(value, np.ndarray) and value.dtype.kind in "fi" for value in state.values())
    assert at.fits[0].centres is not None
    at.fits[0].centres[:] = 9.0
    assert state["k1_fit_centres"][0, 0] == 0.0


def test_without_a_checkpoint_all_begin() -> None:
    at = Position.restore({}, (2, 3), 20, 5)
    assert [fit.clusters for fit in at.fits] == [2, 3]
    assert all(fit.centres is None and fit.active(1) for fit in at.fits)


def test_the_best_start_is_kept_and_of_equals_the_first() -> None:
    at = Position.restore({}, (2,), 20, 3)
    for start, inertia in enumerate((5.0, 4.0, 4.0)):
        at.fits[0].centres = np.full((2, 1), float(start))
        at.finish_start([inertia], 3)
    assert at.best[2].start == 1
    assert at.fits[0].centres is not None  # for a run that is extended


def test_a_finished_run_of_one_start_goes_on_and_one_of_many_does_not() -> None:
    at = Position.restore({}, (2,), 20, 1)
    at.fits[0].centres, at.fits[0].iteration = np.zeros((2, 1)), 20
    at.finish_start([1.0], 1)
    back = Position.restore(at.state(20), (2,), 30, 1)
    assert (back.start, back.best) == (0, {})
    assert back.fits[0].active(30)
    assert Position.restore(at.state(20), (2,), 20, 1).start == 1
    with pytest.raises(SettingsError, match="--max-iterations: 20 -> 30"):
        Position.restore(at.state(20), (2,), 30, 4)
