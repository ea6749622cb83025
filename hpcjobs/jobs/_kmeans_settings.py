"""What a k-means run can be told, and what of it can be checked without reading the data."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from hpcjobs.data.source import Source, locate, locate_features
from hpcjobs.errors import SettingsError
from hpcjobs.jobs._tables import TAKEN, WIDENED, Wanted
from hpcjobs.settings import memory_limit, setting

MOST = 2**31 - 1
DRAWN = ("k-means++", "k-means-parallel", "random")
SHARE = re.compile(r"(\d+(?:\.\d+)?) ?(%?)", re.ASCII)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a k-means run can be told."""

    data: Annotated[str, setting("rows to cluster: FILE.h5 or FILE.h5:/path, shape rows x features", kind="data")]
    clusters: Annotated[
        int | str, setting("number of clusters, or FIRST:END of those to try: 2:21 is 2 to 20", span=(1, MOST))
    ]
    init: Annotated[
        str,
        setting(
            "starting centres: k-means++, k-means-parallel, random, or FILE.h5:/path of clusters x features",
            kind="data",
            words=DRAWN,
        ),
    ] = "k-means++"
    restarts: Annotated[int, setting("how many starts to try; the one of lowest inertia wins", ge=1, le=2**31 - 1)] = 1
    max_iterations: Annotated[int, setting("most iterations of one start", ge=1, le=2**31 - 1, extendable=True)] = 300
    tolerance: Annotated[
        float,
        setting(
            "stop when the centres' summed squared shift is at most this times the mean feature variance",
            ge=0,
        ),
    ] = 1e-4
    batch_size: Annotated[
        int, setting("rows of a mini-batch, drawn anew for each iteration (0: every row)", ge=0, le=2**40)
    ] = 0
    scale: Annotated[
        Literal["none", "standard", "robust", "unit"],
        setting("features: as they are, mean 0 and variance 1, median 0 and quartiles 1 apart, or rows of length 1"),
    ] = "none"
    metric: Annotated[
        Literal["euclidean", "cosine"], setting("what near means: a small distance, or a small angle")
    ] = "euclidean"
    weights: Annotated[str | None, setting("weight of each row: FILE.h5:/path, one number a row", kind="data")] = None
    seed: Annotated[int, setting("seed of the starting centres", ge=0)] = 0
    missing: Annotated[
        Literal["refuse", "omit"],
        setting("what to do with rows that hold NaN: stop, or give them the label -1"),
    ] = "refuse"
    quality: Annotated[bool, setting("measure the clusters: silhouette, Davies-Bouldin, Calinski-Harabasz")] = False
    truth: Annotated[
        str | None, setting("known class of each row, to compare with: FILE.h5:/path, whole numbers", kind="data")
    ] = None
    outliers: Annotated[str | None, setting("mark this share of the rows, the farthest ones: 0.1%")] = None
    memory: Annotated[
        str | None,
        setting("rows that a rank may hold, as 2GB; more stay in the file (default: what is free)", volatile=True),
    ] = None
    checkpoint_every: Annotated[
        int, setting("save a checkpoint every so many iterations (0: by time only)", ge=0, volatile=True)
    ] = 0
    checkpoint_seconds: Annotated[
        float, setting("save a checkpoint every so many seconds (0: by iterations only)", ge=0, volatile=True)
    ] = 60.0


def counts(settings: Settings) -> Sequence[int]:
    """The numbers of clusters to try."""
    if isinstance(settings.clusters, int):
        return (settings.clusters,)
    numbers = range(*(int(part) for part in settings.clusters.split(":")))
    if not numbers or numbers[0] < 1 or numbers[-1] > MOST:
        raise SettingsError(f"--clusters is {settings.clusters!r}: expected FIRST:END of numbers from 1 to {MOST}")
    return numbers


def outlier_share(settings: Settings) -> float | None:
    """The share of the rows to mark, between 0 and 1."""
    if settings.outliers is None:
        return None
    found = SHARE.fullmatch(settings.outliers)
    share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 < share < 1:
        raise SettingsError(f"--outliers is {settings.outliers!r}: expected a share of the rows such as 0.1% or 0.001")
    return share


def wanted(settings: Settings) -> Wanted:
    """How the rows are to be had."""
    return Wanted(
        weights=settings.weights,
        omit_missing=settings.missing == "omit",
        scale=settings.scale,
        unit=settings.metric == "cosine" or settings.scale == "unit",
        refuse_zeros=settings.metric == "cosine",
        memory=memory_limit(settings.memory),
    )


def check(settings: Settings) -> Source:
    """Find every mistake that can be found without reading the data; return where the rows lie."""
    numbers = counts(settings)
    outlier_share(settings)
    memory_limit(settings.memory)
    source = locate_features(settings.data)
    rows, features = source.shape
    if source.dtype.name not in (*TAKEN, *WIDENED):
        raise SettingsError(
            f"--data {source}: holds {source.dtype}, expected one of {', '.join((*TAKEN, *WIDENED))}; "
            f"convert it: hpcjobs data import {source} OUT.h5 --dtype float64"
        )
    if numbers[-1] > rows:
        raise SettingsError(
            f"--clusters is {settings.clusters}, but {source} has {rows} rows; at most one cluster a row"
        )
    if settings.batch_size > rows:
        raise SettingsError(f"--batch-size is {settings.batch_size}, but {source} has {rows} rows; 0 takes them all")
    if settings.init not in DRAWN:
        _check_centres(settings, numbers, features)
    for flag, named in (("--weights", settings.weights), ("--truth", settings.truth)):
        if named is not None and (found := locate(named, dimensions=1)).shape != (rows,):
            raise SettingsError(f"{flag} {found}: {found.shape[0]} values for {rows} rows")
    return source


def _check_centres(settings: Settings, numbers: Sequence[int], features: int) -> None:
    named = Path(settings.init)
    if not named.suffix and ":/" not in settings.init and not named.exists():
        raise SettingsError(f"--init is {named.name!r}; expected {', '.join(DRAWN)}, or FILE.h5:/path of centres")
    if len(numbers) > 1:
        raise SettingsError(f"--init names centres for one number of clusters, and --clusters is {settings.clusters!r}")
    centres = locate(settings.init, dimensions=2)
    if centres.shape != (numbers[0], features):
        raise SettingsError(
            f"--init {centres}: has shape {centres.shape}, expected clusters x features, {(numbers[0], features)}"
        )
    if settings.restarts > 1:
        raise SettingsError("--restarts needs a random start; with given centres every start would be the same")
