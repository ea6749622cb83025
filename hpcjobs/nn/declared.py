"""What a network is made of, as it is declared: `[[layers]]` of a TOML file, or these values in Python."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from hpcjobs.errors import SettingsError, nearest

Count = Annotated[int, msgspec.Meta(ge=1, le=2**20)]
Window = Annotated[int, msgspec.Meta(ge=1, le=15)]  # places in a window are numbered in a byte
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Declared(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, forbid_unknown_fields=True):
    """What all layers share: a name of their own, if they want one, and a factor of the learning rate."""

    name: str = ""
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0


class Conv(Declared, frozen=True, tag="conv"):
    filters: Count
    size: Window = 3
    stride: Window = 1
    padding: Literal["valid", "same"] = "valid"
    bias: bool = True


class MaxPool(Declared, frozen=True, tag="max_pool"):
    size: Window = 2
    stride: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0  # 0: as large as the window


class AveragePool(Declared, frozen=True, tag="average_pool"):
    size: Window = 2


class GlobalPool(Declared, frozen=True, tag="global_pool"):
    """The mean over all places of an image."""


class Dense(Declared, frozen=True, tag="dense"):
    units: Count
    bias: bool = True


class Relu(Declared, frozen=True, tag="relu"):
    pass


class Leaky(Declared, frozen=True, tag="leaky"):
    slope: Share = 0.01


class Sigmoid(Declared, frozen=True, tag="sigmoid"):
    pass


class Tanh(Declared, frozen=True, tag="tanh"):
    pass


class Flatten(Declared, frozen=True, tag="flatten"):
    pass


class Dropout(Declared, frozen=True, tag="dropout"):
    rate: Share = 0.5


class BatchNorm(Declared, frozen=True, tag="batch_norm"):
    """Normalised over the whole global batch, whichever ranks hold it."""

    momentum: Share = 0.9  # what running statistics keep at each step
    epsilon: Annotated[float, msgspec.Meta(gt=0)] = 1e-5


class Residual(Declared, frozen=True, tag="residual"):
    """The sum of what two branches make of the same input; an empty shortcut hands it through."""

    layers: "tuple[Layer, ...]"
    shortcut: "tuple[Layer, ...]" = ()


Layer = (
    Conv | MaxPool | AveragePool | GlobalPool | Dense | Relu | Leaky | Sigmoid | Tanh | Flatten | Dropout | BatchNorm
    | Residual
)  # fmt: skip
OF_PLACES = (Conv, MaxPool, AveragePool, GlobalPool)
TYPES = tuple(str(kind.__struct_config__.tag) for kind in Layer.__args__)


def of_places(layers: Sequence[Layer]) -> bool:
    """Whether a layer, or one inside it, looks at the places of an image."""
    inner = [one for layer in layers if isinstance(layer, Residual) for one in (*layer.layers, *layer.shortcut)]
    return any(isinstance(layer, OF_PLACES) for layer in layers) or (bool(inner) and of_places(inner))


def parse(tables: Sequence[Mapping[str, Any]], where: str = "layer") -> tuple[Layer, ...]:
    """The layers of some TOML tables; SettingsError names the layer that is wrong, counted from 1."""
    found: list[Layer] = []
    for number, table in enumerate(tables, 1):
        kind = table.get("type")
        told = f"{where} {number}" + (f" ({kind})" if kind else "")
        if kind not in TYPES:
            missing = f"type is {kind!r}" if "type" in table else "has no type"
            raise SettingsError(f"{told}: {missing}; {nearest(str(kind), TYPES)}")
        inner = {
            branch: parse(table[branch], f"{told}, {branch}, layer")
            for branch in ("layers", "shortcut")
            if kind == "residual" and branch in table
        }
        try:
            made = msgspec.convert({**table, **{branch: [] for branch in inner}}, Layer)
        except msgspec.ValidationError as error:
            reason = str(error).replace("`", "").replace(" - at $.", ": ").replace("Object", "the table")
            raise SettingsError(f"{told}: {reason}") from None
        found.append(msgspec.structs.replace(made, **inner))
    return tuple(found)
