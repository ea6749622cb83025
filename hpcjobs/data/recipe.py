"""How a data set is to be divided, as the user says it."""

from dataclasses import dataclass

from hpcjobs.data.choosing import PARTS, Shares
from hpcjobs.data.samples import Samples
from hpcjobs.errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """How to divide: by shares, drawn from a seed, or as a column says (`parts`)."""

    test: float | None = None
    validation: float = 0.0
    by: str | None = None
    stratify: bool = False
    parts: str | None = None
    seed: int = 0

    def check(self, samples: Samples) -> None:
        """Refuse what contradicts itself or names what is not there."""
        if self.seed < 0:
            raise SettingsError(f"--seed {self.seed}: expected 0 or more")
        if self.parts is None and self.test is None:
            raise SettingsError("--test is missing: the share of the rows to hold back, such as --test 0.2")
        if self.parts is not None and (self.test is not None or self.validation or self.stratify):
            raise SettingsError("--parts says where each row goes; leave --test, --validation and --stratify out")
        if self.by is not None:
            samples.values(self.by, "--by")
        if self.parts is not None and samples.values(self.parts, "--parts").dtype.kind != "S":
            raise SettingsError(f"--parts {self.parts}: holds numbers; expected the words {', '.join(PARTS)}")
        if self.test is not None:
            shares = Shares(self.test, self.validation)
            shares.check()
            shares.counts(samples.rows)
        if self.stratify and samples.values("y", "--stratify").dtype.kind == "f":
            raise SettingsError(
                "--stratify: /data/y holds real numbers; expected a class of each row, numbered or named"
            )

    def __str__(self) -> str:
        given = {"test": self.test, "validation": self.validation or None, "by": self.by, "parts": self.parts}
        flags = [f"--{name} {value}" for name, value in given.items() if value is not None]
        return " ".join([*flags, *(["--stratify"] if self.stratify else []), f"--seed {self.seed}"])

    @property
    def names(self) -> tuple[str, ...]:
        """The parts that may come of it."""
        return PARTS if self.validation or self.parts else PARTS[:2]
