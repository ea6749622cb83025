"""One real run to make pages of."""

from pathlib import Path

import pytest
from command import hpcjobs


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.h5 and a finished run of it, `run`."""
    folder = tmp_path_factory.mktemp("digits")
    hpcjobs(folder, "data", "import", "example:digits.csv", "digits.h5", "--target", "digit", "--dtype", "uint8")
    flags = ("--clusters", 10, "--restarts", 3, "--seed", 1, "-n", 2, "--out", "run")
    hpcjobs(folder, "run", "kmeans", "--data", "digits.h5", *flags)
    return folder
