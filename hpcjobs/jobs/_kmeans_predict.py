"""New rows put into the clusters of a k-means result: scaled as its rows were, then the nearest centre, certified."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.clustering.exact import LARGEST, make_grid
from hpcjobs.clustering.scaling import Scaling
from hpcjobs.errors import DataError
from hpcjobs.kernels import kmeans as kernels

# What of the result is the model, and what is said of each row.
MODEL = ("centres", "scaled_centres", "offset", "factor", "unit")
PREDICTS = {
    "labels": "cluster of each row, -1 where a value is missing or infinite",
    "distance": "distance of each row to its centre, as it was compared",
}


def predict(model: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Label and distance of each row: rows (some, features) of any type that k-means takes.

    Each row by itself, so that blocks may be cut anywhere.
    """
    scaling, centres = _scaling(model), model.get("scaled_centres", model["centres"])
    features = centres.shape[1]
    labels, distance = np.full(len(rows), -1, dtype=np.int32), np.full(len(rows), np.nan)
    low, high, finite = np.full(features, np.inf), np.full(features, -np.inf), np.empty(len(rows), dtype=np.uint8)
    kernels.extent(rows, low, high, finite)
    if max(np.abs(bound[np.isfinite(bound)]).max(initial=0.0) for bound in (low, high)) > LARGEST:
        raise DataError(f"a row holds values beyond {LARGEST:.0e}, whose squared distances overflow; scale them down")
    good = np.flatnonzero(finite == 1)
    if len(good) == 0:
        return {"labels": labels, "distance": distance}
    points = scaling(np.ascontiguousarray(rows[good]))
    low, high = np.full(features, np.inf), np.full(features, -np.inf)
    kernels.extent(points, low, high, np.empty(len(points), dtype=np.uint8))
    grid = make_grid(low, high, len(points), None, points.dtype.itemsize <= 4)
    found, squared = np.empty(len(points), dtype=np.int32), np.empty(len(points))
    sums, masses = (np.zeros((grid.lanes, *shape), dtype=np.int64) for shape in (centres.shape, centres.shape[:1]))
    kernels.assign(
        points, np.zeros(0), centres, grid.shift, grid.scale, grid.low_scale, grid.mass_scale, found, sums, masses
    )
    kernels.squared_distances(points, centres, found, squared)
    labels[good], distance[good] = found, np.sqrt(squared)
    return {"labels": labels, "distance": distance}


def shape_of(model: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """The shape that a row must have: one line of features."""
    return (int(model["centres"].shape[1]),)


def _scaling(model: Mapping[str, NDArray[Any]]) -> Scaling:
    if "scaled_centres" not in model:
        return Scaling.none(model["centres"].shape[1])
    return Scaling(model["offset"], model["factor"], bool(model["unit"]))
