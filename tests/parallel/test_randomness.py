"""Random words are those of Philox4x64-10, and follow from seed, purpose and index alone."""

import hashlib
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest

from hpcjobs.parallel.randomness import Stream, philox, uniforms, uniforms_of

WORD = 2**64
Words = tuple[int, ...]
# Worked out with the reference below, not with the code under test.
GOLDEN_WORDS = ["4a2e276a9aa4005e", "39d184855066f21d", "4334d9b14dee767a", "47558e044b9d03c7"]
GOLDEN_DRAWS = [1, 9, 36, 32040194, 416445462258113561, 1874813613696502289]


def philox4x64_10(counter: Words, key: Words) -> Words:
    """The definition, written from the paper (Salmon et al., SC11, section 3.3 and table 2)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, WORD)
        high1, low1 = divmod(0xCA5A826395121157 * c2, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % WORD, (k1 + 0xBB67AE8584CAA73B) % WORD
    return c0, c1, c2, c3


def words(seed: int, purpose: str, index: int) -> Iterator[int]:
    """The words that `philox` promises. NumPy counts up before its first block, so that starts at 1."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    key = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")
    for block in count(1):
        yield from philox4x64_10((block, 0, index % WORD, index // WORD), key)


@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [  # the known answers published with Random123: kat_vectors, philox4x64 10
        (
            (0, 0, 0, 0),
            (0, 0),
            (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
        ),
        (
            (WORD - 1,) * 4,
            (WORD - 1,) * 2,
            (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
        ),
        (
            (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
            (0x452821E638D01377, 0xBE5466CF34E90C6C),
            (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
        ),
    ],
)
def test_reference_gives_the_published_answers(counter: Words, key: Words, block: Words) -> None:
    assert philox4x64_10(counter, key) == block


@pytest.mark.parametrize("seed", [0, 1, -3, 2**70])
@pytest.mark.parametrize("purpose", ["k-means++", "start", "größer"])
@pytest.mark.parametrize("index", [0, 1, 2**32, 2**64 - 1, 2**64, 2**100 + 7])
def test_words_are_those_of_the_reference(seed: int, purpose: str, index: int) -> None:
    drawn = [int(word) for word in philox(seed, purpose, index).random_raw(10)]
    assert drawn == list(islice(words(seed, purpose, index), 10))


def test_words_stay_what_they_were_when_first_released() -> None:
    drawn = philox(42, "start", 3).random_raw(4)
    assert [f"{word:016x}" for word in drawn] == GOLDEN_WORDS
    stream = Stream(42, "start", 3)
    assert [stream.below(bound) for bound in (2, 10, 1000, 10**9, 10**18, 2**64 + 1)] == GOLDEN_DRAWS


def test_seed_purpose_and_index_each_give_another_stream() -> None:
    keys = [(seed, purpose, index) for seed in range(5) for purpose in ("a", "b", "a:1") for index in range(50)]
    blocks = np.array([philox(*key).random_raw(64) for key in keys])
    assert len(np.unique(blocks)) == blocks.size  # not one word in common: streams are not shifted copies either


def test_streams_do_not_depend_on_the_order_of_drawing() -> None:
    alone = [Stream(1, "block", index).below(10**12) for index in range(20)]
    streams = {index: Stream(1, "block", index) for index in reversed(range(20))}
    assert [streams[index].below(10**12) for index in range(20)] == alone


def test_draws_reject_what_would_favour_small_numbers() -> None:
    """With a bound just above 2^127 nearly half of all 128-bit words must be thrown away."""
    bound = 2**127 + 1
    source = words(7, "rejection", 0)
    pairs = (high << 64 | low for high, low in zip(source, source, strict=False))
    expected = list(islice((pair for pair in pairs if pair < bound), 50))
    stream = Stream(7, "rejection")
    assert [stream.below(bound) for _ in range(50)] == expected


@pytest.mark.parametrize("bound", [2, 3, 7, 10])
def test_draws_are_uniform(bound: int) -> None:
    stream, draws = Stream(3, "uniform"), 20_000
    counts = np.bincount([stream.below(bound) for _ in range(draws)], minlength=bound)
    assert len(counts) == bound
    chi_squared = float(((counts - draws / bound) ** 2 / (draws / bound)).sum())
    assert chi_squared < 28  # 99.9 % of the chi-squared distribution with 9 degrees of freedom, the widest here


def test_a_bound_of_one_leaves_no_choice_and_none_below_is_taken() -> None:
    assert Stream(0, "one").below(1) == 0
    for bound in (0, -1):
        with pytest.raises(ValueError, match="must be positive"):
            Stream(0, "none").below(bound)


@pytest.mark.parametrize("index", [0, 3, 2**64 + 5])
def test_numbers_of_some_rows_are_those_of_the_whole_stream(index: int) -> None:
    rows = np.array([7, 0, 2**40, 3])
    found = uniforms_of(9, "rows", index, rows, 8)
    for row, numbers in zip(rows.tolist(), found, strict=True):
        np.testing.assert_array_equal(numbers, uniforms(9, "rows", index, 8 * row, 8 * row + 8))
    assert uniforms_of(9, "rows", index, rows[:0], 8).shape == (0, 8)


# Uniform numbers.


def test_uniforms_are_the_words_of_the_reference() -> None:
    expected = [(word >> 11) * 2.0**-53 for word in islice(words(5, "u", 9), 40)]
    assert uniforms(5, "u", 9, 0, 40).tolist() == expected


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5, 1003])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 100])
def test_a_part_of_the_uniforms_is_that_part_of_all(start: int, length: int) -> None:
    whole = uniforms(5, "u", 9, 0, start + length)
    assert uniforms(5, "u", 9, start, start + length).tolist() == whole[start:].tolist()


def test_uniforms_far_along_begin_at_once() -> None:
    far = 2**40 + 2
    assert uniforms(5, "u", 9, far, far + 6)[2:].tolist() == uniforms(5, "u", 9, far + 2, far + 6).tolist()


def test_uniforms_are_uniform() -> None:
    drawn = uniforms(1, "uniform", 0, 0, 20_000)
    counts = np.bincount((drawn * 10).astype(int), minlength=10)
    assert len(counts) == 10
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 28
    assert 0.0 <= drawn.min() < drawn.max() < 1.0
