"""A network as an ONNX graph, and the arrays of such a graph again.

Images come as they lie in HDF5, (n, h, w, c) and before they are prepared; inside the graph channels go first, as ONNX
wants it, and are last again where an image becomes a line of numbers: that is the order of our dense layers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.data import extras
from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs._cnn_predict import Trained, name_of
from hpcjobs.kernels.augment import SMALL
from hpcjobs.nn import declared
from hpcjobs.nn.convolution import window_of
from hpcjobs.nn.network import Node, views

OPSET, IR_VERSION = 17, 8  # of 2022: runtimes of today and of then read them
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
WEIGHTS, WEIGHTS_BACK = (3, 2, 0, 1), (2, 3, 1, 0)  # of a convolution: (h, w, in, out) as (out, in, h, w)


def graph(trained: Trained, facts: Mapping[str, str]) -> bytes:
    """The network as the bytes of an ONNX file, with some `facts` as its metadata."""
    onnx = extras.load("onnx", "onnx", "an ONNX file")
    drawn = _Graph(onnx, trained)
    end = drawn.chain(trained.network.nodes, drawn.images())
    output = drawn.ends(end)
    kind = onnx.TensorProto.FLOAT
    takes = onnx.helper.make_tensor_value_info("images", kind, ["n", *trained.preparation.shape])
    gives = onnx.helper.make_tensor_value_info(output, kind, ["n", trained.classes])
    made = onnx.helper.make_graph(drawn.nodes, "hpcjobs", [takes], [gives], drawn.constants)
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(made, opset_imports=[opset], producer_name="hpcjobs", ir_version=IR_VERSION)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def read_graph(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a graph of ours by name, in our shapes, and its metadata. DataError for what is no ONNX file."""
    onnx = extras.load("onnx", "onnx", "an ONNX file")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # protobuf has errors of its own
        raise DataError(f"{path}: no ONNX file, or one with its numbers elsewhere: {error}") from None
    facts = {one.key: one.value for one in model.metadata_props}
    turned = {name: array.transpose(WEIGHTS_BACK) if array.ndim == 4 else array for name, array in arrays.items()}
    return turned, facts


class _Graph:
    """Collects nodes and constants while a network is drawn; each method returns the name of what it gives."""

    def __init__(self, onnx: Any, trained: Trained) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._onnx, self._trained = onnx, trained

    def images(self) -> str:
        """Images as the first layer takes them: cropped from the middle, rescaled, standardised, channels first."""
        preparation, x = self._trained.preparation, "images"
        size, shape = preparation.prepared_shape[:2], preparation.shape[:2]
        if size != shape:
            corner = [(whole - part) // 2 for whole, part in zip(shape, size, strict=True)]
            if min(corner) < 0:
                raise SettingsError("an ONNX file cannot hold a crop that is larger than the images (crop-padding)")
            ends = [first + part for first, part in zip(corner, size, strict=True)]
            spans = {"first": corner, "end": ends, "axes": [1, 2]}
            names = [self._constant(f"crop_{name}", np.array(span, dtype=np.int64)) for name, span in spans.items()]
            x = self._node("Slice", [x, *names])
        scale, shift = preparation.scaling()
        x = self._node("Mul", [x, self._constant("scale_of_pixels", scale)])
        x = self._node("Add", [x, self._constant("shift_of_pixels", shift)])
        if preparation.augmentation.standardise == "sample":
            away = self._node("Sub", [x, self._mean(x)])
            deviation = self._node("Sqrt", [self._mean(self._node("Mul", [away, away]))])
            small = self._constant("small", np.array(SMALL, dtype=np.float32))
            x = self._node("Div", [away, self._node("Add", [deviation, small])])
        return self._node("Transpose", [x], perm=TO_CHANNELS_FIRST)

    def _mean(self, x: str) -> str:
        """The mean of each image."""
        return self._node("ReduceMean", [x], axes=[1, 2, 3], keepdims=1)

    def ends(self, line: str) -> str:
        """What is said of each image: probabilities, or numbers."""
        if self._trained.kind == "mse":
            return self._node("Identity", [line], "numbers")
        if self._trained.kind == "categorical":
            return self._node("Softmax", [line], "probabilities", axis=1)
        one = self._constant("one", np.array(1, dtype=np.float32))
        positive = self._node("Sigmoid", [line])
        return self._node("Concat", [self._node("Sub", [one, positive]), positive], "probabilities", axis=1)

    def chain(self, nodes: Sequence[Node], x: str) -> str:
        for node in nodes:
            x = self._layer(node, x)
        return x

    def _layer(self, node: Node, x: str) -> str:
        """One layer; what drops out in training hands through."""
        own = [self._array(node, name, array) for name, array in self._numbers(node).items()]
        match node.layer:
            case declared.Conv():
                window = window_of(node.layer, *node.takes[:2])
                before = (window.top, window.left)
                spans = [(length - 1) * window.stride + window.size for length in node.gives[:2]]
                after = [
                    max(span - length - first, 0)
                    for span, length, first in zip(spans, node.takes[:2], before, strict=True)
                ]
                shape = {"kernel_shape": [window.size] * 2, "strides": [window.stride] * 2, "pads": [*before, *after]}
                return self._node("Conv", [x, *own], node.name, **shape)
            case declared.Dense():
                return self._node("Gemm" if node.layer.bias else "MatMul", [x, *own], node.name)
            case declared.MaxPool():
                stride = node.layer.stride or node.layer.size
                return self._node("MaxPool", [x], node.name, kernel_shape=[node.layer.size] * 2, strides=[stride] * 2)
            case declared.AveragePool():
                size = [node.layer.size] * 2
                return self._node("AveragePool", [x], node.name, kernel_shape=size, strides=size)
            case declared.GlobalPool():
                return self._node("Flatten", [self._node("GlobalAveragePool", [x])], node.name, axis=1)
            case declared.Flatten():
                last = self._node("Transpose", [x], perm=TO_CHANNELS_LAST) if len(node.takes) == 3 else x
                return self._node("Flatten", [last], node.name, axis=1)
            case declared.BatchNorm():
                return self._node("BatchNormalization", [x, *own], node.name, epsilon=node.layer.epsilon)
            case declared.Residual():
                return self._node("Add", [self.chain(node.body, x), self.chain(node.shortcut, x)], node.name)
            case declared.Leaky():
                return self._node("LeakyRelu", [x], node.name, alpha=node.layer.slope)
            case declared.Relu() | declared.Sigmoid() | declared.Tanh():
                return self._node(type(node.layer).__name__, [x], node.name)
        return x

    def _numbers(self, node: Node) -> dict[str, NDArray[Any]]:
        """Parameters, then statistics: for batch normalisation in ONNX's own order."""
        own = dict(views(self._trained.parameters, node.parameters))
        own |= views(self._trained.statistics, node.statistics)
        return {name: array.transpose(WEIGHTS) if array.ndim == 4 else array for name, array in own.items()}

    def _array(self, node: Node, name: str, array: NDArray[Any]) -> str:
        block = next(one for one in (*node.parameters, *node.statistics) if one.name == name)
        return self._constant(name_of(node, block), array.astype(np.float32))

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        given = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [given], name=given, **attributes))
        return given
