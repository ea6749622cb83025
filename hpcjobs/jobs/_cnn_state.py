"""What a CNN run remembers from one attempt to the next, and how good it was so far."""

from dataclasses import dataclass, field

import numpy as np

from hpcjobs.errors import SettingsError
from hpcjobs.jobs._cnn_check import Ground
from hpcjobs.jobs._cnn_settings import Settings
from hpcjobs.jobs._cnn_transfer import overlay
from hpcjobs.nn.network import first_parameters, first_statistics
from hpcjobs.nn.optimiser import Optimiser, first_moments
from hpcjobs.nn.schedule import Schedule
from hpcjobs.nn.training import Goal, Learner
from hpcjobs.runs.checkpoint import State

FLOAT = np.dtype(np.float32)


@dataclass
class Best:
    """The epoch of the lowest validation loss, counted from 1 (0: none yet), and what the network was then."""

    learner: Learner
    loss: float = np.inf
    epoch: int = 0

    def look(self, loss: float, epoch: int, learner: Learner) -> None:
        """Keep the learner of an epoch if it is better than any before."""
        if loss < self.loss:
            self.learner = Learner(learner.parameters.copy(), learner.statistics.copy(), {})
            self.loss, self.epoch = loss, epoch


@dataclass(frozen=True)
class Memory:
    """All that a checkpoint holds. `validated` is (loss, accuracy) of the newest validation."""

    learner: Learner
    best: Best
    validated: list[float] = field(default_factory=lambda: [np.nan, np.nan])

    def state(self, schedule: Schedule) -> State:
        """As arrays; an empty one, such as the statistics of a network without any, is left out."""
        found = {"parameters": self.learner.parameters, "statistics": self.learner.statistics}
        found |= {f"moment_{name}": moment for name, moment in self.learner.moments.items()}
        if self.best.epoch:
            kept = self.best.learner
            found |= {"best_parameters": kept.parameters, "best_statistics": kept.statistics}
        found |= {"best": np.array([self.best.loss, self.best.epoch]), "validated": np.array(self.validated)}
        found["end"] = np.array(schedule.total)
        return {name: array for name, array in found.items() if array.size}


def remember(state: State, ground: Ground, settings: Settings, schedule: Schedule) -> Memory:
    """Where a run stands: what its checkpoint says, or the beginning."""
    parameters = first_parameters(ground.network, settings.seed, settings.initialisation, FLOAT)
    statistics = first_statistics(ground.network)
    if ground.given is not None and not state:
        overlay(ground.given, ground.network, parameters, statistics)
    learner = Learner(parameters, statistics, first_moments(optimiser_of(settings), parameters))
    if not state:
        return Memory(learner, Best(learner))
    if schedule.knows_its_end and int(state["end"]) != schedule.total:
        raise SettingsError(
            f"--schedule {settings.schedule} was laid out for {int(state['end'])} steps, now it would be "
            f"{schedule.total}: the steps that are done would have had other learning rates; keep --epochs, or start a "
            "new run"
        )
    parameters[...] = state["parameters"]
    statistics[...] = state.get("statistics", statistics)
    for name, moment in learner.moments.items():
        moment[...] = state[f"moment_{name}"]
    loss, epoch = (float(number) for number in state["best"])
    kept = learner
    if epoch:
        kept = Learner(state["best_parameters"], state.get("best_statistics", np.empty(0)), {})
    return Memory(learner, Best(kept, loss, int(epoch)), [float(number) for number in state["validated"]])


def optimiser_of(settings: Settings) -> Optimiser:
    return Optimiser(
        kind=settings.optimiser, momentum=settings.momentum, nesterov=settings.nesterov, decay=settings.weight_decay,
        clip=settings.clip,
    )  # fmt: skip


def schedule_of(settings: Settings, steps_per_epoch: int) -> Schedule:
    return Schedule(
        settings.schedule, settings.learning_rate, settings.warmup_steps, settings.schedule_epochs * steps_per_epoch,
        settings.schedule_factor, settings.epochs * steps_per_epoch,
    )  # fmt: skip


def goal_of(settings: Settings, ground: Ground) -> Goal:
    """The loss; balanced weights are rows / (classes x rows of the class), as scikit-learn has them."""
    if settings.class_weights == "none":
        return Goal(ground.kind, settings.label_smoothing)
    counts = np.bincount(ground.images.values, minlength=ground.classes)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return Goal(ground.kind, settings.label_smoothing, tuple(weights.tolist()))
