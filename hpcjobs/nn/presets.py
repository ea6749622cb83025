"""Networks by name; each ends in as many outputs as it is asked for."""

from collections.abc import Callable

from hpcjobs.errors import SettingsError, nearest
from hpcjobs.nn.declared import BatchNorm, Conv, Dense, Flatten, GlobalPool, Layer, MaxPool, Relu, Residual

Layers = tuple[Layer, ...]


def reference(outputs: int) -> Layers:
    """Four 3 x 3 convolutions of 32 to 128 filters with 2 x 2 pooling, a dense layer of 512."""
    blocks = [layer for filters in (32, 64, 128, 128) for layer in (Conv(filters=filters), Relu(), MaxPool())]
    return (*blocks, Flatten(), Dense(units=512), Relu(), Dense(units=outputs))


def lenet(outputs: int) -> Layers:
    """Two convolutions and three dense layers, after LeCun et al. (1998), with ReLU; for images from 8 x 8 on."""
    blocks = [layer for filters in (8, 16) for layer in (Conv(filters=filters, padding="same"), Relu(), MaxPool())]
    return (*blocks, Flatten(), Dense(units=64), Relu(), Dense(units=outputs))


def vgg(outputs: int) -> Layers:
    """Three blocks of two 3 x 3 convolutions, after Simonyan and Zisserman (2015), with batch normalisation."""
    blocks: list[Layer] = []
    for filters in (32, 64, 128):
        for _ in range(2):
            blocks += [Conv(filters=filters, padding="same", bias=False), BatchNorm(), Relu()]
        blocks.append(MaxPool())
    return (*blocks, Flatten(), Dense(units=128), Relu(), Dense(units=outputs))


def resnet20(outputs: int) -> Layers:
    """Nine residual blocks of 16, 32 and 64 filters, after He et al. (2016), section 4.2."""
    layers: list[Layer] = [Conv(filters=16, padding="same", bias=False), BatchNorm(), Relu()]
    for filters, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        body = (
            Conv(filters=filters, stride=stride, padding="same", bias=False), BatchNorm(), Relu(),
            Conv(filters=filters, padding="same", bias=False), BatchNorm(),
        )  # fmt: skip
        narrow = (Conv(filters=filters, size=1, stride=stride, padding="same", bias=False), BatchNorm())
        layers += [Residual(layers=body, shortcut=narrow if stride > 1 else ()), Relu()]
    return (*layers, GlobalPool(), Dense(units=outputs))


def mlp(outputs: int) -> Layers:
    """Two dense layers of 128 and 64 units, for rows of numbers as well as for images."""
    return (Flatten(), Dense(units=128), Relu(), Dense(units=64), Relu(), Dense(units=outputs))


PRESETS: dict[str, Callable[[int], Layers]] = {
    "lenet": lenet,
    "mlp": mlp,
    "reference": reference,
    "resnet20": resnet20,
    "vgg": vgg,
}


def preset(name: str, outputs: int) -> Layers:
    """The layers of a preset."""
    if name not in PRESETS:
        raise SettingsError(f"--network is {name!r}; {nearest(name, PRESETS)}")
    return PRESETS[name](outputs)
