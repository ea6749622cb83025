"""What a CNN run can be told."""

from typing import Annotated, Any, Literal

import msgspec

from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.settings import setting

MOST = 2**31 - 1


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a CNN run can be told."""

    data: Annotated[str, setting("images to train on: FILE.h5 or FILE.h5:/path, rows x h x w x channels", kind="data")]
    labels: Annotated[str | None, setting("class of each row (default: y beside the images)", kind="data")] = None
    validation: Annotated[str | None, setting("images to validate on, their classes beside them", kind="data")] = None
    image_shape: Annotated[str | None, setting("what a flat row is as an image, as 28x28x1")] = None
    augmentation: Annotated[Augmentation, setting("chance changes of images: a table, as rotation=15,zoom=0.1")] = (
        Augmentation()
    )
    rescale: Annotated[float | None, setting("what pixels are multiplied by (default: 1/255 for uint8, else 1)")] = None
    network: Annotated[
        str | None, setting("lenet, mlp, reference, resnet20, vgg, or [[layers]] in TOML (default: reference)")
    ] = None
    layers: Annotated[tuple[dict[str, Any], ...], setting("the network, layer by layer", kind="table")] = ()
    init_from: Annotated[
        str | None, setting("trained network to begin with: run folder, result.h5, .safetensors or .onnx", kind="data")
    ] = None
    freeze: Annotated[str | None, setting("layers that are not trained: the lowest N that learn, or NAME,...")] = None
    loss: Annotated[
        Literal["auto", "binary", "categorical", "mse"],
        setting("what is to become small (auto: cross-entropy of the classes that there are)"),
    ] = "auto"
    class_weights: Annotated[
        Literal["none", "balanced"], setting("how much rows count: all the same, or all classes the same")
    ] = "none"
    label_smoothing: Annotated[float, setting("share of each target that is spread over all classes", ge=0, lt=1)] = 0.0
    epochs: Annotated[int, setting("how often to go through the images", ge=1, le=MOST, extendable=True)] = 10
    steps_per_epoch: Annotated[int, setting("steps of an epoch (0: as many as there are whole batches)", ge=0)] = 0
    batch_size: Annotated[int, setting("images of a step, over all ranks", ge=1, le=MOST)] = 32
    shards: Annotated[
        int, setting("equal pieces of a batch; fixes the bits, and the most ranks that have work", ge=1, le=65536)
    ] = 8
    optimiser: Annotated[Literal["adam", "adamw", "sgd"], setting("how parameters follow their gradient")] = "adam"
    learning_rate: Annotated[float, setting("learning rate", ge=0)] = 1e-3
    momentum: Annotated[float, setting("momentum of sgd", ge=0, lt=1)] = 0.9
    nesterov: Annotated[bool, setting("Nesterov's momentum")] = False
    weight_decay: Annotated[float, setting("decay of all parameters: added to the gradient, apart for adamw", ge=0)] = (
        0.0
    )
    clip: Annotated[float, setting("longest gradient; 0 for any", ge=0)] = 0.0
    schedule: Annotated[Literal["constant", "step", "cosine"], setting("course of the learning rate")] = "constant"
    schedule_epochs: Annotated[int, setting("epochs between the drops of schedule step", ge=1)] = 10
    schedule_factor: Annotated[float, setting("what each drop multiplies the rate by", gt=0, le=1)] = 0.1
    warmup_steps: Annotated[int, setting("steps in which the learning rate rises", ge=0)] = 0
    early_stopping: Annotated[
        int, setting("stop after so many epochs without a lower validation loss (0: never)", ge=0)
    ] = 0
    keep_images: Annotated[
        int,
        setting("worst mistakes of the validation that the result keeps as pictures (0: none)", ge=0, le=1000),
    ] = 12
    initialisation: Annotated[Literal["he", "glorot"], setting("variance of the first weights")] = "he"
    seed: Annotated[int, setting("seed of first weights, order, augmentation and dropout", ge=0)] = 0
    allow_other_numerics: Annotated[
        bool, setting("go on where floating-point bits are others: libraries, BLAS, CPU", extendable=True)
    ] = False
    memory: Annotated[
        str | None,
        setting("images a rank may hold, as 2GB; more stay in the file (default: half of what is free)", volatile=True),
    ] = None
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many steps (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by steps only)", ge=0, volatile=True)
    ] = 60.0
