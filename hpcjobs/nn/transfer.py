"""Which layers of a network are trained, and how fast: the others stay as they are."""

from hpcjobs.errors import SettingsError, nearest
from hpcjobs.nn.network import Network, Node

Part = tuple[slice, float]  # of the flat parameters, and what the learning rate is multiplied by


def frozen_layers(network: Network, wanted: str | None) -> frozenset[str]:
    """The names of layers that --freeze names, with all inside them: the lowest N that learn, or NAME,..."""
    if wanted is None:
        return frozenset()
    learning = [node for node in network.nodes if learns(node, frozenset())]
    if wanted.isascii() and wanted.isdigit():
        chosen = learning[: int(wanted)]
    else:
        every = {node.name: node for node in network.every()}
        names = [name.strip() for name in wanted.split(",")]
        for name in names:
            if name not in every:
                raise SettingsError(f"--freeze {wanted}: no layer {name!r}; {nearest(name, every)}")
        chosen = [every[name] for name in names]
    frozen = frozenset(name for node in chosen for name in _inside(node))
    if not any(learns(node, frozen) for node in learning):
        raise SettingsError(
            f"--freeze {wanted}: leaves nothing to train; the layers that learn are "
            f"{', '.join(node.name for node in learning)}"
        )
    return frozen


def learns(node: Node, frozen: frozenset[str]) -> bool:
    """Whether a layer, or one inside it, has parameters that are trained."""
    own = bool(node.parameters) and node.name not in frozen
    return own or any(learns(inner, frozen) for inner in (*node.body, *node.shortcut))


def trained_parts(network: Network, frozen: frozenset[str]) -> list[Part]:
    """The runs of parameters that are trained; neighbours of one learning rate are one run."""
    found: list[Part] = []
    for node, block in network.parameters():
        if node.name in frozen:
            continue
        factor, start = node.layer.learning_rate, block.start
        if found and found[-1][0].stop == start and found[-1][1] == factor:
            start = found.pop()[0].start
        found.append((slice(start, block.stop), factor))
    return found


def _inside(node: Node) -> list[str]:
    return [node.name, *(name for inner in (*node.body, *node.shortcut) for name in _inside(inner))]
