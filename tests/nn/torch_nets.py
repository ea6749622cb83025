"""The same networks in PyTorch, with our numbers put in."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from hpcjobs.nn import declared
from hpcjobs.nn.convolution import window_of
from hpcjobs.nn.network import Network, Node, view

Array = NDArray[Any]


class Twin:
    """A network of ours, computed by PyTorch in NCHW."""

    def __init__(self, network: Network, parameters: Array) -> None:
        self.network = network
        self.tensors = {
            (node.name, block.name): torch.tensor(_theirs(view(parameters, block)).copy(), requires_grad=True)
            for node, block in network.parameters()
        }
        kind = torch.from_numpy(parameters[:0]).dtype
        self.running = {
            (node.name, block.name): torch.full(block.shape, block.fill, dtype=kind)
            for node, block in network.statistics()
        }

    def __call__(self, images: Array, training: bool = True) -> torch.Tensor:
        return self._chain(self.network.nodes, torch.tensor(images).permute(0, 3, 1, 2), training)

    def flat(self) -> Array:
        """The parameters in our order."""
        return np.concatenate([_ours(tensor.detach().numpy()).reshape(-1) for tensor in self.tensors.values()])

    def parts(self) -> Iterator[torch.Tensor]:
        yield from self.tensors.values()

    def _chain(self, nodes: tuple[Node, ...], x: torch.Tensor, training: bool) -> torch.Tensor:
        for node in nodes:
            x = self._one(node, x, training)
        return x

    def _one(self, node: Node, x: torch.Tensor, training: bool) -> torch.Tensor:
        own = {name: tensor for (layer, name), tensor in self.tensors.items() if layer == node.name}
        match node.layer:
            case declared.Conv() as layer:
                height, width = x.shape[2:]
                window = window_of(layer, height, width)
                down, right = (
                    max((length - 1) * layer.stride + layer.size - there - before, 0)
                    for length, there, before in zip(
                        node.gives[:2], (height, width), (window.top, window.left), strict=True
                    )
                )
                x = functional.pad(x, (window.left, right, window.top, down))
                return functional.conv2d(x, own["weights"], own.get("bias"), stride=layer.stride)
            case declared.Dense():
                return functional.linear(x, own["weights"], own.get("bias"))
            case declared.MaxPool() as layer:
                return functional.max_pool2d(x, layer.size, layer.stride or layer.size)
            case declared.GlobalPool():
                return x.mean(dim=(2, 3))
            case declared.Flatten():
                return x.permute(0, 2, 3, 1).reshape(len(x), -1)
            case declared.Relu():
                return functional.relu(x)
            case declared.BatchNorm() as layer:
                mean, variance = (self.running[node.name, name] for name in ("mean", "variance"))
                return functional.batch_norm(
                    x, mean, variance, own["scale"], own["offset"], training, 1 - layer.momentum, layer.epsilon
                )
            case declared.Residual():
                return self._chain(node.body, x, training) + self._chain(node.shortcut, x, training)
        raise AssertionError(node.layer)


def _theirs(array: Array) -> Array:
    """Weights (h, w, in, out) as (out, in, h, w), (in, out) as (out, in)."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _ours(array: Array) -> Array:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
