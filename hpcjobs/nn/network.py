"""A network for images of one shape: what each layer takes and gives, and where its numbers lie in one flat buffer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError
from hpcjobs.nn import declared
from hpcjobs.nn.declared import Layer
from hpcjobs.parallel.randomness import uniforms

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """An array of a layer inside a flat buffer, from `start` on.

    `fan` is (inputs, outputs) of a weight that is drawn at random; others begin as `fill`.
    """

    name: str
    shape: Shape
    start: int
    fan: Shape = ()
    fill: float = 0.0

    @property
    def stop(self) -> int:
        return self.start + prod(self.shape)


@dataclass(frozen=True)
class Node:
    """A layer in its place."""

    name: str
    layer: Layer
    takes: Shape
    gives: Shape
    parameters: tuple[Block, ...] = ()
    statistics: tuple[Block, ...] = ()
    body: "tuple[Node, ...]" = ()
    shortcut: "tuple[Node, ...]" = ()


@dataclass(frozen=True)
class Network:
    """All layers, and the lengths of the flat buffers of parameters and of running statistics."""

    nodes: tuple[Node, ...]
    takes: Shape
    gives: Shape
    size: int
    statistics_size: int

    def every(self) -> list[Node]:
        """Every node, those inside residual blocks too, in order."""
        return _flat(self.nodes)

    def parameters(self) -> list[tuple[Node, Block]]:
        return [(node, block) for node in self.every() for block in node.parameters]

    def statistics(self) -> list[tuple[Node, Block]]:
        return [(node, block) for node in self.every() for block in node.statistics]


def build(layers: Sequence[Layer], shape: Shape) -> Network:
    """Infer every shape; SettingsError names the layer that does not fit."""
    plan = _Plan()
    nodes = plan.chain(layers, shape, "")
    gives = nodes[-1].gives if nodes else shape
    return Network(nodes, shape, gives, plan.size, plan.statistics_size)


def view(buffer: Array, block: Block) -> Array:
    """The array of a block: a view into the buffer."""
    return buffer[block.start : block.stop].reshape(block.shape)


def views(buffer: Array, blocks: Sequence[Block]) -> Mapping[str, Array]:
    """The arrays of a layer by name."""
    return {block.name: view(buffer, block) for block in blocks}


def first_parameters(network: Network, seed: int, scale: str, dtype: np.dtype[Any]) -> Array:
    """Parameters to start from: weights uniform with the variance of `he` (2 / inputs) or `glorot` (2 / both).

    Drawn from the seed and the number of the array alone.
    """
    buffer = np.empty(network.size, dtype=dtype)
    for number, (_, block) in enumerate(network.parameters()):
        if not block.fan:
            view(buffer, block)[...] = block.fill
            continue
        limit = np.sqrt(6.0 / (block.fan[0] if scale == "he" else sum(block.fan)))
        drawn = uniforms(seed, "first parameters", number, 0, prod(block.shape))
        view(buffer, block)[...] = ((2 * drawn - 1) * limit).reshape(block.shape)
    return buffer


def first_statistics(network: Network) -> NDArray[np.float64]:
    """Running means 0 and variances 1."""
    buffer = np.empty(network.statistics_size)
    for _, block in network.statistics():
        view(buffer, block)[...] = block.fill
    return buffer


def _flat(nodes: Sequence[Node]) -> list[Node]:
    found = []
    for node in nodes:
        found += [node, *_flat(node.body), *_flat(node.shortcut)]
    return found


class _Plan:
    """Hands out names and places in the buffers while a network is laid out."""

    def __init__(self) -> None:
        self.size = self.statistics_size = 0
        self._counts: dict[str, int] = {}
        self._names: set[str] = set()

    def chain(self, layers: Sequence[Layer], shape: Shape, prefix: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        for layer in layers:
            nodes.append(self._node(layer, nodes[-1].gives if nodes else shape, prefix))
        return tuple(nodes)

    def _node(self, layer: Layer, takes: Shape, prefix: str) -> Node:
        kind = str(layer.__struct_config__.tag)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        name = layer.name or f"{kind}_{self._counts[kind]}"
        if name in self._names or not name.isidentifier():
            raise SettingsError(f"layer {name!r}: expected names of letters, digits and _, each of them once")
        self._names.add(name)
        wanted = {declared.Flatten: 0, declared.Dense: 1, **dict.fromkeys(SPATIAL, 3)}.get(type(layer), 0)
        if wanted and len(takes) != wanted:
            needs = "one line of numbers: put a flatten or global_pool layer before it" if wanted == 1 else "an image"
            raise SettingsError(f"layer {name}: is given {told(takes)}, and needs {needs}")
        match layer:
            case declared.Conv():
                gives = (*_slid(name, takes, layer.size, layer.stride, layer.padding == "same"), layer.filters)
                fan = (layer.size**2 * takes[2], layer.size**2 * layer.filters)
                return self._made(name, layer, takes, gives, (layer.size, layer.size, takes[2], layer.filters), fan)
            case declared.Dense():
                fan = (takes[0], layer.units)
                return self._made(name, layer, takes, (layer.units,), fan, fan)
            case declared.MaxPool():
                stride = layer.stride or layer.size
                return Node(name, layer, takes, (*_slid(name, takes, layer.size, stride, False), takes[2]))
            case declared.AveragePool():
                return Node(name, layer, takes, (*_slid(name, takes, layer.size, layer.size, False), takes[2]))
            case declared.GlobalPool():
                return Node(name, layer, takes, takes[2:])
            case declared.Flatten():
                return Node(name, layer, takes, (prod(takes),))
            case declared.BatchNorm():
                channels = takes[-1:]
                scale, offset = self._parameter("scale", channels, fill=1.0), self._parameter("offset", channels)
                mean, variance = self._statistic("mean", channels, 0.0), self._statistic("variance", channels, 1.0)
                return Node(name, layer, takes, takes, (scale, offset), (mean, variance))
            case declared.Residual():
                body = self.chain(layer.layers, takes, name)
                shortcut = self.chain(layer.shortcut, takes, name)
                ends = [branch[-1].gives if branch else takes for branch in (body, shortcut)]
                if ends[0] != ends[1]:
                    raise SettingsError(
                        f"layer {name}: its layers give {told(ends[0])}, its shortcut {told(ends[1])}; both must be "
                        "equal: let a 1 x 1 conv in the shortcut change the channels and the stride"
                    )
                return Node(name, layer, takes, ends[0], body=body, shortcut=shortcut)
        return Node(name, layer, takes, takes)

    def _made(self, name: str, layer: Any, takes: Shape, gives: Shape, shape: Shape, fan: Shape) -> Node:
        blocks = [self._parameter("weights", shape, fan)]
        if layer.bias:
            blocks.append(self._parameter("bias", shape[-1:]))
        return Node(name, layer, takes, gives, tuple(blocks))

    def _parameter(self, name: str, shape: Shape, fan: Shape = (), fill: float = 0.0) -> Block:
        block = Block(name, shape, self.size, fan, fill)
        self.size = block.stop
        return block

    def _statistic(self, name: str, shape: Shape, fill: float) -> Block:
        block = Block(name, shape, self.statistics_size, (), fill)
        self.statistics_size = block.stop
        return block


SPATIAL = (declared.Conv, declared.MaxPool, declared.AveragePool, declared.GlobalPool)


def told(shape: Shape) -> str:
    """A shape as people say it: `32 x 32 x 3`."""
    return " x ".join(str(length) for length in shape)


def _slid(name: str, takes: Shape, size: int, stride: int, same: bool) -> Shape:
    """Height and width of what a window gives that slides over an image."""
    if same:
        return tuple(-(-length // stride) for length in takes[:2])
    if min(takes[:2]) < size:
        raise SettingsError(f"layer {name}: is given {told(takes)}, smaller than its window of {size} x {size}")
    return tuple((length - size) // stride + 1 for length in takes[:2])
