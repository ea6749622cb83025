"""Our files open everywhere, without warnings or phony axes: h5py, h5dump, netCDF4, xarray, pandas."""

import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pandas
import pytest
import xarray

from hpcjobs.data.schema import Contents, Variable, rows_of
from hpcjobs.data.writing import write_file

GROUPS = {"/data": {"id", "feature", "nothing"}, "/result": {"id", "cluster", "feature"}}


@pytest.fixture(autouse=True)
def warnings_are_errors() -> None:
    warnings.simplefilter("error")


def test_h5py_reads_every_value_and_the_root_attributes(our_file: Path, values: np.ndarray) -> None:
    with h5py.File(our_file) as file:
        np.testing.assert_array_equal(file["data/x"][:], values)
        assert file["data/id"].asstr()[7] == "tile-7ä"
        assert file["provenance/command"].asstr()[()] == "hpcjobs run größer"
        assert file["data/empty"].shape == (0,)
        found = {name: file.attrs[name] for name in file.attrs}
    created = found.pop("created").decode()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert len(found.pop("result_digest")) == 64
    assert found == {
        "hpcjobs_schema": b"1.0",
        "kind": b"result",
        "job": b"kmeans",
        "run_uuid": b"1234",
        "complete": 1,
        "Conventions": b"CF-1.11",
        "title": "a täst".encode(),
    }


def test_every_axis_has_a_scale_and_every_data_set_units_and_a_name(our_file: Path) -> None:
    with h5py.File(our_file) as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
        for dataset in found:
            assert dataset.attrs["units"]
            assert dataset.attrs["long_name"]
            for axis in range(dataset.ndim):
                assert dataset.is_scale or len(dataset.dims[axis]) == 1, dataset.name
        assert file["result/centres"].attrs["units"] == b"m"


def test_there_is_nothing_but_fixed_length_contiguous_unfiltered_data(our_file: Path) -> None:
    def check(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            properties = item.id.get_create_plist()
            assert properties.get_layout() == h5py.h5d.CONTIGUOUS
            assert properties.get_nfilters() == 0
            assert item.dtype.kind in "fiuS"
            assert item.dtype.byteorder in "<|="

    with h5py.File(our_file) as file:
        file.visititems(check)


def test_the_user_block_is_one_mebibyte_and_large_arrays_begin_on_its_multiples(tmp_path: Path) -> None:
    large = np.zeros((2**16, 3), dtype=np.uint8)
    variables = {
        f"/data/{name}": Variable(("row", "column"), rows_of(large, len(large), 0) if name == "x" else large, "x")
        for name in ("x", "held")
    }
    write_file(tmp_path / "a.h5", Contents("input", "t", variables))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.userblock_size == 2**20
        for name in ("x", "held"):
            assert file[f"data/{name}"].id.get_offset() % 2**20 == 0


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("group", GROUPS)
def test_xarray_reads_each_group_with_named_axes(our_file: Path, engine: str, group: str) -> None:
    with xarray.open_dataset(our_file, engine=engine, group=group) as dataset, h5py.File(our_file) as file:
        dataset.load()
        assert set(dataset.sizes) == GROUPS[group]
        assert set(dataset.variables) == set(file[group])
        for name, variable in dataset.variables.items():
            raw = file[group][name]
            expected = raw.asstr()[()] if raw.dtype.kind == "S" else raw[()]
            found = variable.values
            if found.dtype.kind == "S":
                found = np.char.decode(found, "utf-8")
            np.testing.assert_array_equal(found.astype(object), np.asarray(expected, dtype=object))


def test_a_result_can_be_joined_to_samples_by_its_id(our_file: Path) -> None:
    with xarray.open_dataset(our_file, engine="netcdf4", group="/result") as dataset:
        assert int(dataset["labels"].sel(id="s3")) == 1
        frame = dataset[["labels"]].to_dataframe()
    samples = pandas.DataFrame({"weight": [1.5, 2.5]}, index=["s3", "s0"])
    assert samples.join(frame)["labels"].tolist() == [1, 0]


def test_netcdf4_lists_groups_axes_and_values(our_file: Path, values: np.ndarray) -> None:
    with netCDF4.Dataset(our_file) as file:
        assert file.title == "a täst"
        for group, axes in GROUPS.items():
            assert set(file[group].dimensions) == axes
        np.testing.assert_array_equal(file["/data/x"][:], values)
        assert file["/result/centres"].units == "m"


@pytest.mark.parametrize("form", ["h5py", "netcdf4"])
def test_pandas_takes_the_rows(our_file: Path, values: np.ndarray, form: str) -> None:
    if form == "h5py":
        with h5py.File(our_file) as file:
            frame = pandas.DataFrame(file["data/x"][:], index=file["data/id"].asstr()[:])
    else:
        with xarray.open_dataset(our_file, engine="netcdf4", group="/data") as dataset:
            frame = dataset["x"].to_pandas()
    assert frame.shape == values.shape
    assert frame.loc["tile-2999ä"].tolist() == values[2999].tolist()


def test_h5dump_prints_every_value_without_complaint(our_file: Path) -> None:
    if shutil.which("h5dump") is None:
        pytest.skip("h5dump is not on PATH (Debian: hdf5-tools)")
    command = ["h5dump", "-m", "%.17g", "-d", "/result/centres", "-d", "/result/labels", our_file]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    numbers = re.findall(r"\((\d),(\d)\): ([\d.]+)", done.stdout)
    assert [tuple(map(float, found)) for found in numbers] == [(i // 3, i % 3, i) for i in range(6)]
    labels = done.stdout.split('DATASET "/result/labels"')[1].split("ATTRIBUTE")[0]
    assert re.findall(r"\(\d\): (\d)", labels) == list("0101010")
    whole = subprocess.run(["h5dump", "-H", our_file], capture_output=True, text=True)
    assert whole.returncode == 0
    assert "USERBLOCK_SIZE" not in whole.stderr


@pytest.mark.parametrize("title", ["größer 漢字 🐁", "", "name\udcff.csv"])
def test_any_title_can_be_kept(tmp_path: Path, title: str) -> None:
    variables = {"/data/x": Variable(("row",), np.arange(3.0), "x")}
    write_file(tmp_path / "a.h5", Contents("input", title, variables, attributes={"source": title}))
    expected = title.replace("\udcff", "?") or " "
    with netCDF4.Dataset(tmp_path / "a.h5") as file:
        assert (file.title, file.source) == (expected, expected)
    with xarray.open_dataset(tmp_path / "a.h5", engine="h5netcdf") as dataset:
        assert dataset.attrs["title"] == expected
