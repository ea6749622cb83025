"""`hpcjobs.KMeans`: k-means as a scikit-learn estimator, on one process or on the rows of many ranks."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpcjobs.clustering.assignment import Assignment
from hpcjobs.clustering.exact import LARGEST
from hpcjobs.clustering.fitting import Options, first_centres, inertia_of, iterate
from hpcjobs.clustering.position import Position
from hpcjobs.clustering.table import Table, survey
from hpcjobs.jobs._kmeans_predict import predict
from hpcjobs.kernels import kmeans as kernels
from hpcjobs.parallel.communicator import Communicator, SerialCommunicator

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
    from sklearn.metrics.pairwise import euclidean_distances
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("hpcjobs.KMeans needs scikit-learn: pip install 'hpcjobs[sklearn]'") from error

Floats = NDArray[np.float64]


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Lloyd's algorithm with certified labels and exact sums: the same bits on any number of ranks.

    Parameters are those of scikit-learn's KMeans where both have them. `init` is "k-means++", "k-means-parallel",
    "random" or centres (clusters, features); `random_state` is the seed, a whole number or None for 0; `batch_size` > 0
    fits by mini-batches. With `communicator`, an MPI communicator of mpi4py, `fit` takes on each rank the rows of that
    rank, and every rank gets the labels of its own: collective, as are `fit_predict` and `fit_transform`.

    After `fit`: cluster_centers_ (clusters, features) in float64, labels_ (rows,) int32, inertia_, n_iter_.

    Source: docs/kmeans.md, "What is computed".
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        batch_size: int = 0,
        random_state: int | None = None,
        communicator: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.random_state = random_state
        self.communicator = communicator

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Cluster the rows of X (rows, features). ValueError for what cannot be clustered."""
        points, weights = self._rows(X, sample_weight)
        table = self._table(points, weights)
        low, high = _bounds(table)
        comm = table.communicator
        heaviest = np.array([weights.max(initial=0.0)])
        comm.allreduce_max(heaviest)
        ground = survey(table, low, high, float(heaviest[0]) if sample_weight is not None else None)
        options, given = self._options(points.shape[1])
        rows = Assignment(len(points))
        at = Position.restore({}, [self.n_clusters], self.max_iter, self.n_init)
        while at.start < self.n_init:
            (fit,) = at.fits
            fit.centres = first_centres(options, fit.clusters, at.start, table, ground, given)
            while fit.active(self.max_iter):
                iterate(options, at.fits, at.start, table, ground, rows)
            at.finish_start([inertia_of(fit, table, ground, rows)], self.n_init)
        best = at.best[self.n_clusters]
        (last,) = at.fits
        last.centres = best.centres
        self.inertia_ = inertia_of(last, table, ground, rows)
        self.cluster_centers_, self.labels_, self.n_iter_ = best.centres, rows.labels, best.iterations
        self._n_features_out = self.n_clusters
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:  # noqa: N803
        """The nearest centre of each row of X (rows, features), the lowest number on ties."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        labels: NDArray[np.int32] = predict({"centres": self.cluster_centers_}, rows)["labels"]
        return labels

    def transform(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The distance of each row of X (rows, features) to each centre: (rows, clusters)."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.asarray(euclidean_distances(rows, self.cluster_centers_.astype(rows.dtype)))

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """Minus the inertia of the rows of X by these centres: of this rank's rows alone."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        return -float((weights * predict({"centres": self.cluster_centers_}, rows)["distance"] ** 2).sum())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _rows(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[NDArray[Any], Floats]:  # noqa: N803
        """Rows and weights of this rank, checked; a rank may have no rows where others do."""
        least = 1 if self.communicator is None else 0
        points = validate_data(self, X, dtype=[np.float64, np.float32], order="C", ensure_min_samples=least)
        if sample_weight is None:
            return points, np.zeros(0)
        weights = _check_sample_weight(sample_weight, points, dtype=np.float64, ensure_non_negative=True)
        return points, weights

    def _table(self, points: NDArray[Any], weights: Floats) -> Table:
        """The rows of all ranks as one table, in the order of the ranks. Collective."""
        comm: Communicator = SerialCommunicator()
        if self.communicator is not None:
            from hpcjobs.parallel.mpi import MPICommunicator

            comm = MPICommunicator(self.communicator)
        lengths = comm.allgather(np.array([len(points)], dtype=np.int64))[:, 0]
        rows = int(lengths.sum())
        if not 1 <= self.n_clusters <= rows:
            raise ValueError(f"n_samples={rows} should be >= n_clusters={self.n_clusters}, and that at least 1")
        return Table(points, weights, int(lengths[: comm.rank].sum()), rows, comm, len(points))

    def _options(self, features: int) -> tuple[Options, Floats | None]:
        """How to fit, and the starting centres where they are given."""
        if self.n_init < 1 or self.max_iter < 1 or self.tol < 0 or self.batch_size < 0:
            raise ValueError("n_init and max_iter must be at least 1, tol and batch_size at least 0")
        given = None if isinstance(self.init, str) else np.array(self.init, dtype=np.float64)
        if given is None and self.init not in ("k-means++", "k-means-parallel", "random"):
            raise ValueError(f"init={self.init!r}: expected k-means++, k-means-parallel, random, or centres")
        if given is not None and given.shape != (self.n_clusters, features):
            raise ValueError(f"init has shape {given.shape}, expected {(self.n_clusters, features)}")
        drawn = self.init if isinstance(self.init, str) else "k-means++"
        return Options(drawn, self.random_state or 0, self.tol, self.batch_size), given


def _bounds(table: Table) -> tuple[Floats, Floats]:
    """Smallest and largest value of each feature (features,) over all ranks. Collective."""
    low = np.full(table.features, np.inf)
    high = -low
    kernels.extent(table.points[:], low, high, np.empty(len(table.points), dtype=np.uint8))
    bounds = np.concatenate([-low, high])
    table.communicator.allreduce_max(bounds)
    if np.abs(bounds).max() > LARGEST:
        raise ValueError(f"X holds values beyond {LARGEST:.0e}, whose squared distances overflow; scale them down")
    return -bounds[: table.features], bounds[table.features :]
