"""Twenty steps of training beside PyTorch, from the same weights, with the same batches."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'hpcjobs[peers]'")

from nn.torch_nets import Twin  # noqa: E402

from hpcjobs.nn.network import build, first_parameters, first_statistics  # noqa: E402
from hpcjobs.nn.optimiser import Optimiser, first_moments  # noqa: E402
from hpcjobs.nn.passes import Batch  # noqa: E402
from hpcjobs.nn.presets import preset  # noqa: E402
from hpcjobs.nn.training import Goal, Learner, train_step  # noqa: E402

STEPS, SHARDS, ROWS = 20, 4, 2
SHAPES = {"reference": ((62, 62, 3), 1), "resnet20": ((16, 16, 3), 4)}
OPTIMISERS: dict[str, tuple[Optimiser, float, Any]] = {
    "sgd": (
        Optimiser("sgd", momentum=0.9, nesterov=True, decay=1e-3), 1e-4,
        lambda parts: torch.optim.SGD(parts, lr=1e-4, momentum=0.9, nesterov=True, weight_decay=1e-3),
    ),
    "adam": (
        Optimiser("adam", epsilon=1e-3, decay=1e-3), 1e-4,
        lambda parts: torch.optim.Adam(parts, lr=1e-4, eps=1e-3, weight_decay=1e-3),
    ),
    "adamw": (
        Optimiser("adamw", epsilon=1e-3, decay=1e-2), 1e-5,
        lambda parts: torch.optim.AdamW(parts, lr=1e-5, eps=1e-3, weight_decay=1e-2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize(
    ("network_name", "optimiser_name"), [("reference", "adam"), ("resnet20", "sgd"), ("resnet20", "adamw")]
)
def test_twenty_steps_are_those_of_pytorch(network_name: str, optimiser_name: str, kind: str) -> None:
    shape, outputs = SHAPES[network_name]
    optimiser, rate, theirs = OPTIMISERS[optimiser_name]
    network = build(preset(network_name, outputs), shape)
    parameters = first_parameters(network, 3, "he", np.dtype(kind))
    torch.set_num_threads(1)
    twin = Twin(network, parameters)
    learner = Learner(parameters, first_statistics(network), first_moments(optimiser, parameters))
    stepper = theirs(list(twin.parts()))
    goal = Goal("binary" if outputs == 1 else "categorical", smoothing=0.0)
    draw = np.random.default_rng(4)
    tolerance = 1e-10 if kind == "float64" else 1e-4
    for step in range(STEPS):
        images = draw.random(size=(SHARDS * ROWS, *shape)).astype(kind)
        targets = draw.integers(0, max(2, outputs), SHARDS * ROWS)
        parts = [
            (images[i : i + ROWS], targets[i : i + ROWS], np.arange(i, i + ROWS)) for i in range(0, SHARDS * ROWS, ROWS)
        ]
        batch = Batch(True, SHARDS * ROWS, SHARDS, [rows for _, _, rows in parts], step=step)
        ours = train_step(network, learner, optimiser, goal, parts, batch, rate)
        stepper.zero_grad()
        z = twin(images)
        if outputs == 1:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], torch.tensor(targets.astype(kind)))
        else:
            loss = torch.nn.functional.cross_entropy(z, torch.tensor(targets))
        loss.backward()
        stepper.step()
        np.testing.assert_allclose(ours.loss, float(loss.detach()), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(learner.parameters, twin.flat(), rtol=tolerance, atol=tolerance)
