"""What the MPI library tells decides how Slurm starts its ranks."""

import pytest

from hpcjobs.parallel import library


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("MPICH Version:      5.0.2", "pmi2"),
        ("Intel(R) MPI Library 2021.9", "pmi2"),
        ("Open MPI v5.0.11, package", "pmix"),
    ],
)
def test_each_library_has_its_way(name: str, way: str) -> None:
    assert library.srun_type(name) == way


@pytest.mark.parametrize(
    ("device", "module"),
    [("ch4:ucx ofi", "ofi"), ("ch4:ucx,ofi", "ofi"), ("ch4:ofi ucx", ""), ("ch4:ucx", ""), ("ch3:nemesis", "")],
)
def test_ofi_is_named_where_ucx_would_come_before_it(device: str, module: str) -> None:
    assert library.netmod(f"MPICH Version:      5.0.2\nMPICH Device:       {device}\nMPICH CC:  cc\n") == module


def test_a_library_without_devices_needs_no_module() -> None:
    assert library.netmod("Open MPI v5.0.11, package") == ""
