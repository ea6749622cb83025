"""Fixed global pieces of work, and the run of them that a rank owns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Rows `start` to `stop` (exclusive) of a global table."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def piece(total: int, pieces: int, index: int) -> Span:
    """Cut `total` rows into `pieces` runs whose lengths differ by at most one; return number `index`."""
    return Span(index * total // pieces, (index + 1) * total // pieces)


@dataclass(frozen=True)
class Shards:
    """`total` rows cut into `count` pieces that do not depend on the number of ranks."""

    total: int
    count: int

    def shard(self, index: int) -> Span:
        """Rows of shard `index`."""
        return piece(self.total, self.count, index)

    def owned(self, rank: int, size: int) -> range:
        """Shards of one rank: a consecutive run, empty when there are more ranks than shards."""
        run = piece(self.count, size, rank)
        return range(run.start, run.stop)

    def rows(self, rank: int, size: int) -> Span:
        """Rows of one rank: those of its shards."""
        run = piece(self.count, size, rank)
        return Span(run.start * self.total // self.count, run.stop * self.total // self.count)
