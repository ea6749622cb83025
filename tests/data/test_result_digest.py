"""The result digest changes with any value, type, shape or path of `/result`, and with nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.inspect import verify_file
from hpcjobs.data.publish import publish
from hpcjobs.data.record import USER_BLOCK, make_record
from hpcjobs.data.resultdigest import result_digest
from hpcjobs.data.schema import Contents, Rows, Variable, rows_of, texts
from hpcjobs.data.writing import _commit, _leaves, write_file
from hpcjobs.errors import DataError
from hpcjobs.parallel.communicator import SerialCommunicator

Make = Callable[..., tuple[Path, str]]
LABELS = np.arange(7, dtype=np.int32) % 2


def by_hand(path: Path) -> str:
    """The rule of the file format page, from what plain h5py reads."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:
        for name in sorted(f"/result/{name}" for name in file["result"]):
            values = file[name][()]
            kind = file[name].dtype.newbyteorder("<").str
            shape = ",".join(str(length) for length in file[name].shape)
            digest.update(b"\0".join([name.encode(), kind.encode(), shape.encode(), b""]))
            digest.update(np.asarray(values).astype(kind).tobytes())
    return digest.hexdigest()


def test_it_is_what_a_few_independent_lines_compute_and_what_the_file_says(make_result: Make) -> None:
    path, digest = make_result()
    assert digest == by_hand(path)
    assert verify_file(path)["result_digest"] == digest
    with h5py.File(path) as file:
        assert file.attrs["result_digest"].decode() == digest


def test_a_file_without_result_has_none(tmp_path: Path) -> None:
    variables = {"/data/x": Variable(("row",), np.arange(3.0), "x")}
    assert write_file(tmp_path / "a.h5", Contents("input", "t", variables)) == ""
    assert verify_file(tmp_path / "a.h5")["result_digest"] is None


def test_order_blocks_and_attributes_do_not_enter(make_result: Make, tmp_path: Path) -> None:
    path, digest = make_result()
    pieces = Rows(7, 0, LABELS.dtype, (), lambda: (LABELS[:2], LABELS[2:2], LABELS[2:]))
    _, again = make_result("b.h5", labels=Variable(("id",), pieces, "another name", "1"))
    assert again == digest
    with h5py.File(path) as file:
        held = {name: file[f"result/{name}"][()] for name in file["result"]}
    axes = {"id": ("id",), "labels": ("id",), "centres": ("cluster", "feature"), "inertia": ()}
    other = {f"/result/{name}": Variable(axes[name], held[name], name) for name in reversed(list(axes))}
    other["/data/z"] = Variable(("z",), np.arange(5), "z")
    assert write_file(tmp_path / "c.h5", Contents("result", "another title", other, "job", "uuid")) == digest


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": Variable(("id",), rows_of(1 - LABELS, 7, 0), "cluster of each row")},
        {"labels": Variable(("id",), LABELS.astype(np.int64), "type")},
        {"labels": Variable(("id",), LABELS.astype(np.uint32), "type of the same bytes")},
        {"centres": Variable(("feature", "cluster"), np.arange(6.0).reshape(3, 2), "shape of the same bytes")},
        {"inertia": Variable((), np.array(3.5000000000000004), "one unit in the last place")},
        {"inertia": Variable(("one",), np.array([3.5]), "one more axis")},
        {"id": Variable(("id",), texts([f"s{row}" for row in range(6)] + ["S6"]), "text")},
        {"more": Variable(("id",), LABELS, "one more path")},
    ],
)
def test_any_change_of_value_type_shape_or_path_shows(make_result: Make, changed: dict[str, Variable]) -> None:
    _, digest = make_result()
    path, other = make_result("other.h5", **changed)
    assert other != digest
    assert other == by_hand(path)


def test_a_renamed_data_set_shows(make_result: Make) -> None:
    _, digest = make_result(a=Variable(("id",), LABELS, "x"))
    _, other = make_result("b.h5", b=Variable(("id",), LABELS, "x"))
    assert other != digest


def test_big_endian_values_have_the_digest_of_the_same_numbers(tmp_path: Path) -> None:
    found = []
    for order in "<>":
        path = tmp_path / f"{'big' if order == '>' else 'little'}.h5"
        with h5py.File(path, "w") as file:
            file["result/x"] = np.arange(12, dtype=f"{order}f8").reshape(3, 4)
            file["result/deep/er/y"] = np.arange(3, dtype=f"{order}i2")
            file["result/none"] = np.zeros((0, 3), dtype=f"{order}f4")
            found.append(result_digest(file))
    assert found[0] == found[1]


def test_long_and_wide_data_sets_are_read_in_pieces_that_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["result/x"] = np.random.default_rng(1).normal(size=(501, 33))
    expected = by_hand(path)
    for size in (1, 1000, 2**24):
        monkeypatch.setattr("hpcjobs.data.resultdigest.BYTES_AT_A_TIME", size)
        with h5py.File(path) as file:
            assert result_digest(file) == expected


def test_a_result_changed_by_another_program_is_found_even_when_the_record_was_renewed(
    make_result: Make,
) -> None:
    path, digest = make_result()
    content = path.read_bytes()
    length = len(content) - USER_BLOCK - 16
    with publish(path) as temporary:
        temporary.write_bytes(content[: USER_BLOCK + length])
        with h5py.File(temporary, "r+") as file:
            file["result/labels"][0] = 1
        _commit(temporary, _leaves(temporary, SerialCommunicator()))
    assert make_record(0, b"").root != digest
    with pytest.raises(DataError, match=f"the digest of /result is .* where the file says {digest}"):
        verify_file(path)
