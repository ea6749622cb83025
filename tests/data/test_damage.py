"""Damage is found before it is used: every flipped byte, every missing or added one, with the file named."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcjobs.data.blocks import BlockFile
from hpcjobs.data.inspect import describe_file, verify_file
from hpcjobs.data.record import BLOCK, LEAF, MAGIC, USER_BLOCK
from hpcjobs.data.source import Reader, locate
from hpcjobs.errors import DataError

Spoil = Callable[[bytearray], object]


@pytest.fixture
def damaged(our_bytes: bytes, tmp_path: Path) -> Callable[[Spoil], Path]:
    """The file after `spoil` has changed its bytes in place."""

    def make(spoil: Spoil) -> Path:
        content = bytearray(our_bytes)
        spoil(content)
        path = tmp_path / "damaged.h5"
        path.write_bytes(content)
        return path

    return make


def read_x(path: Path) -> np.ndarray:
    source = locate(f"{path}:/data/x", 2)
    values = np.empty(source.shape)
    with Reader(source) as reader:
        reader.read(0, values)
    return values


def line_end(content: bytes) -> int:
    """Where the record line ends; only padding follows it in the user block."""
    return content.index(b"\n", len(MAGIC)) + 1


def flip(position: int, bit: int = 0) -> Spoil:
    def spoil(content: bytearray) -> None:
        content[position] ^= 1 << bit

    return spoil


def test_the_undamaged_file_is_whole_and_reads_back(our_file: Path, values: np.ndarray) -> None:
    assert verify_file(our_file)["message"] == "whole: all 3 blocks and the result are as they were written"
    np.testing.assert_array_equal(read_x(our_file), values)


def test_every_byte_of_the_header_and_record_is_checked(our_bytes: bytes, damaged: Callable[[Spoil], Path]) -> None:
    for position in range(line_end(our_bytes)):
        path = damaged(flip(position, position % 8))
        for use in (read_x, verify_file, describe_file):
            with pytest.raises(DataError, match=r"damaged.h5"):
                use(path)


def test_flips_anywhere_behind_the_user_block_are_found_and_named(
    our_bytes: bytes, damaged: Callable[[Spoil], Path]
) -> None:
    random = np.random.default_rng(11)
    size = len(our_bytes)
    ends = [USER_BLOCK, USER_BLOCK + 1, USER_BLOCK + BLOCK - 1, USER_BLOCK + BLOCK, size - 3 * LEAF, size - 1]
    metadata = random.integers(USER_BLOCK, USER_BLOCK + 4096, 40)
    for position in [*ends, *metadata, *random.integers(USER_BLOCK, size, 60)]:
        with pytest.raises(DataError, match=r"damaged.h5: .*(damaged|do not match)"):
            verify_file(damaged(flip(int(position), int(position) % 8)))


def test_a_flip_in_the_rows_is_found_by_the_read_that_meets_it(
    our_bytes: bytes, damaged: Callable[[Spoil], Path], values: np.ndarray
) -> None:
    at = our_bytes.index(values[2000].tobytes())
    path = damaged(flip(at))
    source = locate(f"{path}:/data/x", 2)
    with Reader(source) as reader:
        first = np.empty((100, 400))
        reader.read(0, first)  # its blocks are whole, so it may be used
        np.testing.assert_array_equal(first, values[:100])
        with pytest.raises(DataError, match=r"block \d \(bytes \d+ to \d+\) is damaged.* restore"):
            reader.read(1990, first)


def test_a_flip_in_metadata_is_found_before_libhdf5_parses_it(
    our_bytes: bytes, damaged: Callable[[Spoil], Path]
) -> None:
    for position in range(USER_BLOCK, USER_BLOCK + 2048, 37):
        with pytest.raises(DataError, match=r"block 0 .* is damaged"):
            describe_file(damaged(flip(position, 3)))


def test_padding_of_the_user_block_holds_nothing_so_its_damage_is_harmless(
    our_bytes: bytes, damaged: Callable[[Spoil], Path], values: np.ndarray
) -> None:
    for position in (line_end(our_bytes), 512, 4096, USER_BLOCK - 1):
        path = damaged(flip(position))
        assert verify_file(path)["record"]
        np.testing.assert_array_equal(read_x(path), values)
    # An HDF5 signature there would make any libhdf5 begin in the wrong place, but not ours.
    forged = damaged(lambda content: content.__setitem__(slice(512, 520), b"\x89HDF\r\n\x1a\n"))
    np.testing.assert_array_equal(read_x(forged), values)


def test_every_other_length_is_refused_before_use(our_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    size = len(our_bytes)
    for length in [
        0,
        1,
        30,
        59,
        60,
        100,
        4096,
        USER_BLOCK,
        USER_BLOCK + 100,
        size // 2,
        size - LEAF,
        size - 1,
    ]:
        path.write_bytes(our_bytes[:length])
        for use in (read_x, verify_file, describe_file):
            with pytest.raises(DataError, match=r"damaged.h5"):
                use(path)
    for added in (b"\0", b"x" * LEAF, bytes(BLOCK)):
        path.write_bytes(our_bytes + added)
        with pytest.raises(DataError, match=f"has {size + len(added)} bytes where its record says {size}"):
            verify_file(path)


def test_a_lost_user_block_does_not_pass_for_the_file_of_another_program(
    damaged: Callable[[Spoil], Path],
) -> None:
    path = damaged(lambda content: content.__setitem__(slice(0, 4096), bytes(4096)))
    with h5py.File(path) as file:
        assert "hpcjobs_schema" in file.attrs  # libhdf5 itself sees no harm
    for use in (read_x, verify_file, describe_file):
        with pytest.raises(DataError, match="commit record in its user block is gone"):
            use(path)


@pytest.mark.parametrize(
    ("length", "root"),
    [(-5, "00"), (0, "00"), ("7", "00"), (10**30, "00"), (2.5, "00"), (True, "00"), (100, 7), (None, None)],
)
def test_a_forged_record_is_refused_without_a_traceback(
    damaged: Callable[[Spoil], Path], length: object, root: object
) -> None:
    text = json.dumps({"length": length, "root": root})
    line = MAGIC + f"{text} {hashlib.sha256(text.encode()).hexdigest()}\n".encode()
    path = damaged(lambda content: content.__setitem__(slice(0, len(line)), line))
    with pytest.raises(DataError, match=r"damaged.h5"):
        verify_file(path)


def test_reading_past_the_data_is_refused_although_leaves_follow(our_file: Path) -> None:
    with BlockFile(our_file) as file:
        assert file.record is not None
        with pytest.raises(DataError, match="beyond the end of the HDF5 data"):
            file.pread_into(USER_BLOCK + file.record.length - 2, bytearray(4))


@pytest.mark.parametrize("piece", [1, 7, 4096, BLOCK - 1, BLOCK, 3 * BLOCK])
def test_pieces_of_any_size_give_the_same_bytes(our_file: Path, our_bytes: bytes, piece: int) -> None:
    start = USER_BLOCK + BLOCK - 20 if piece < 10 else USER_BLOCK - 10
    stop = min(len(our_bytes) - 3 * LEAF, start + 6 * piece)
    expected = bytearray(our_bytes[start:stop])
    expected[: max(0, USER_BLOCK - start)] = bytes(max(0, USER_BLOCK - start))  # the user block reads as zeros
    found = bytearray(stop - start)
    with BlockFile(our_file) as file:
        for at in range(start, stop, piece):
            file.pread_into(at, memoryview(found)[at - start : min(at + piece, stop) - start])
    assert found == expected
