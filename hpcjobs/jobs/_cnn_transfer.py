"""A trained network as the beginning of another one: of a run, or of a file that `hpcjobs export` has written."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import safetensors
from hpcjobs.data.source import Source
from hpcjobs.errors import DataError
from hpcjobs.jobs._cnn_export import PREFIX
from hpcjobs.jobs._cnn_onnx import read_graph
from hpcjobs.jobs._cnn_predict import MODEL, Facts, name_of
from hpcjobs.nn.declared import Dense, Layer, parse
from hpcjobs.nn.network import Block, Network, Node, told, view
from hpcjobs.runs.model import find_result, read_model

SETTING = "--init-from"


@dataclass(frozen=True)
class Given:
    """A trained network: what it says of itself, its layers, its arrays by name (`conv_1_weights`), and the digest of
    its result."""

    file: Path
    facts: Facts
    layers: tuple[Layer, ...]
    arrays: Mapping[str, NDArray[Any]]
    digest: str


def read_given(path: Path) -> Given:
    """The network of a run folder, its result, OUT.safetensors or OUT.onnx."""
    suffix = path.suffix.lower()
    if suffix in (".safetensors", ".onnx"):
        arrays, facts = safetensors.decode(path) if suffix == ".safetensors" else read_graph(path)
        declared, digest = facts.get(f"{PREFIX}network"), facts.get(f"{PREFIX}digest", "")
    else:
        model = read_model(find_result(path), MODEL)
        found = model.arrays.get("network")
        declared = None if found is None or model.job != "cnn" else found.item().decode()
        path, digest = model.file, model.digest
        arrays = {name.partition("/")[2]: array for name, array in model.arrays.items() if "/" in name}
    if declared is None:
        raise DataError(f"{SETTING} {path}: holds no network; expected a run of cnn, or an export of one")
    try:
        facts = msgspec.json.decode(declared, type=Facts)
        facts.preparation()
        layers = parse(facts.layers)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise DataError(f"{SETTING} {path}: its network is damaged: {error}") from None
    return Given(path, facts, layers, arrays, digest)


def as_input(given: Given) -> tuple[Source, str]:
    """The file as what a run reads, and the digest of its bytes, so that no run goes on from another beginning."""
    status, digest = given.file.stat(), hashlib.sha256(given.file.read_bytes()).hexdigest()
    numbers = (sum(array.size for array in given.arrays.values()),)
    source = Source(
        given.file.absolute(), "/network", numbers, np.dtype(np.float32), None, status.st_size, status.st_mtime_ns, "",
        None,
    )  # fmt: skip
    return source, f"rows:{digest}"


def with_head(given: Given, outputs: int, classes: int) -> tuple[Layer, ...]:
    """Its layers, with a last one for other classes if it has others: `outputs`, if not one for each of `classes`."""
    *body, last = given.layers
    if not isinstance(last, Dense) or last.units in (outputs, classes):
        return given.layers
    return (*body, msgspec.structs.replace(last, units=outputs))


def new_layers(given: Given, network: Network) -> list[str]:
    """The layers that begin anew: at most the last that learns. DataError names any other that does not fit."""
    blocks = [*network.parameters(), *network.statistics()]
    head = network.parameters()[-1][0].name
    odd = [(node, block) for node, block in blocks if not _fits(given, node, block)]
    for node, block in odd:
        if node.name != head:
            there = given.arrays.get(name_of(node, block))
            has = "none" if there is None else told(there.shape)
            raise DataError(
                f"{SETTING} {given.file}: {block.name} of layer {node.name}: found {has}, expected "
                f"{told(block.shape)}; declare the network as it was trained, or leave "
                "--network and [[layers]] out to take its own"
            )
    for node, block in blocks:
        if _fits(given, node, block) and not np.isfinite(given.arrays[name_of(node, block)]).all():
            raise DataError(f"{SETTING} {given.file}: {block.name} of layer {node.name} holds NaN or infinite values")
    return [head] if odd else []


def overlay(given: Given, network: Network, parameters: NDArray[Any], statistics: NDArray[Any]) -> None:
    """Write its numbers over those that a network begins with; those of new layers stay."""
    new = new_layers(given, network)
    for buffer, blocks in ((parameters, network.parameters()), (statistics, network.statistics())):
        for node, block in blocks:
            if node.name not in new:
                view(buffer, block)[...] = given.arrays[name_of(node, block)]


def said(given: Given, network: Network, frozen: frozenset[str]) -> str:
    """What a run tells of its beginning."""
    new = new_layers(given, network)
    text = f"beginning with the network of {given.file}"
    text += f"; layer {new[0]} is new, as it gives {told(network.gives)} numbers" if new else ""
    still = [node.name for node in network.nodes if node.name in frozen and (node.parameters or node.body)]
    return text + (f"; not trained: {', '.join(still)}" if still else "")


def _fits(given: Given, node: Node, block: Block) -> bool:
    there = given.arrays.get(name_of(node, block))
    return there is not None and there.shape == block.shape
