"""Mean and deviation of the channels are those of NumPy, with the same bits on any number of ranks."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from clustering.threads_comm import on_ranks

from hpcjobs.data.labels import locate_images
from hpcjobs.nn.augment import Preparation
from hpcjobs.nn.augmentation import Augmentation
from hpcjobs.nn.channels import channels_of


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channels_are_measured_exactly(tmp_path: Path, dtype: str) -> None:
    given = np.random.default_rng(3).integers(0, 256, (7, 5, 4, 3)).astype(dtype)
    given[..., 1] = 9
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = given
    source = locate_images(str(tmp_path / "a.h5"))
    found = [channels for ranks in (1, 2, 3, 9) for channels in on_ranks(ranks, lambda comm: channels_of(source, comm))]
    for one in found:
        np.testing.assert_array_equal(one.mean, found[0].mean)
        np.testing.assert_array_equal(one.deviation, found[0].deviation)
    wide = given.astype(np.float64)
    np.testing.assert_allclose(found[0].mean, wide.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found[0].deviation, wide.std(axis=(0, 1, 2)), rtol=1e-9, atol=1e-9)
    told = Augmentation(standardise="feature")
    rows = np.arange(7)
    prepared, _ = Preparation(told, (5, 4, 3), rescale=1 / 255, channels=found[0])(given, rows, rows, 0)
    scaled = wide / 255
    expected = (scaled - scaled.mean(axis=(0, 1, 2))) / (scaled.std(axis=(0, 1, 2)) + 1e-6)
    np.testing.assert_allclose(prepared, expected, atol=1e-4)
