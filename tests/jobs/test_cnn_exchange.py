"""What ranks exchange in training: it changes no bit, its time is told, and room is planned for it."""

from pathlib import Path

import h5py
import pytest
from jobs.in_threads import Run, run_on
from jobs.networks import images_file
from msgspec.structs import replace

from hpcjobs.jobs import cnn
from hpcjobs.jobs.cnn import BASE_BYTES, Settings, need


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exchange")
    images_file(made / "train.h5", 24, (12, 12, 1), 2)
    images_file(made / "test.h5", 5, (12, 12, 1), 2)
    return made


def trained(folder: Path, ranks: int) -> Run:
    found = run_on(
        cnn, folder, ranks, name=f"on-{ranks}", data=str(folder / "train.h5"), validation=str(folder / "test.h5"),
        network="vgg", epochs=1, batch_size=8, shards=4, clip=0.1,
    )  # fmt: skip
    assert found is not None
    return found


def test_no_bit_depends_on_who_owns_the_shards_and_the_time_of_sums_is_told(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    digest = trained(folder, 1).digest
    assert "nothing hid" not in capfd.readouterr().err
    for ranks in (3, 5):
        assert trained(folder, ranks).digest == digest
        assert capfd.readouterr().err.count("sums over ranks that nothing hid: ") == 1
        with h5py.File(folder / f"on-{ranks}" / "result.h5") as file:
            phases = [name.decode() for name in file["timing/phase"][()].tolist()]
            seconds = file["timing/seconds"][()]
        assert seconds.shape == (ranks, len(phases))
        assert {"read", "train", "exchange", "validate"} <= set(phases)
        assert (seconds[:, phases.index("exchange")] > 0).all()


def test_less_memory_is_needed_than_a_gradient_of_each_shard_takes(folder: Path) -> None:
    wide = Settings(data=str(folder / "train.h5"), network="vgg", batch_size=16, shards=16, memory="1KB")
    one = need(wide, 1)
    assert one < need(replace(wide, shards=1), 1) + 2**20  # sums of blocks only: the same for any number of shards
    assert BASE_BYTES < need(wide, 16) < one
