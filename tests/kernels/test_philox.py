"""Philox4x32-10: the known answers of Random123, from the definition and its twin, for any part of the stream."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hpcjobs.kernels.philox import blocks

# kat_vectors of Random123 1.14: counter, key, words.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def drawn(
    run: object, step: int, steps: int, first: int, lanes: int, key: tuple[int, int] = (5, 7)
) -> NDArray[np.uint32]:
    words = np.zeros((steps, 4, lanes), dtype=np.uint32)
    run(words, np.array(key, dtype=np.uint32), np.uint64(step), np.uint64(first))  # type: ignore[operator]
    return words


@pytest.mark.parametrize("run", [blocks.reference, blocks], ids=["definition", "twin"])
@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(run: object, counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    step, lane = (counter[0] | counter[1] << 32), (counter[2] | counter[3] << 32)
    assert tuple(drawn(run, step, 1, lane, 1, key)[0, :, 0]) == answer


@pytest.mark.parametrize(("step", "first"), [(0, 0), (2**32 - 3, 2**32 - 5), (2**63, 12345)])
def test_twin_equals_definition_across_the_word_boundary(step: int, first: int) -> None:
    np.testing.assert_array_equal(drawn(blocks, step, 7, first, 37), drawn(blocks.reference, step, 7, first, 37))


def test_a_part_of_the_stream_is_that_of_the_whole() -> None:
    whole = drawn(blocks, 100, 6, 50, 20)
    np.testing.assert_array_equal(drawn(blocks, 103, 2, 57, 9), whole[3:5, :, 7:16])
