"""What a job that can be evaluated hands to `hpcjobs evaluate`.

Such a job declares `Evaluation`, as `Settings` is declared: its fields are the flags, and a field `data` the positional
DATA. Its `evaluate(model, wanted, communicator)` is collective and returns what is `Evaluated`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpcjobs.data.schema import Variable


@dataclass(frozen=True)
class Evaluated:
    """`told` is printed, or becomes one JSON object; `variables` are the data sets that -o writes, none if empty."""

    told: dict[str, Any]
    variables: Mapping[str, Variable]
