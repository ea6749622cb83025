"""Lloyd's iterations, whole fits and k-means++ on one core: hpcjobs and scikit-learn, same data, same start.

    python -m benchmarks kmeans [--turns 5] [--iterations 20] [--fits] [--starts] [--quick]

Ours does more: labels are certified, sums are exact. The claim is that this costs nothing.
"""

import argparse
import sys
import warnings

from fair import clean_start, machine, take_turns

if __name__ == "__main__":
    clean_start(cores=1)

import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.linalg.blas import sgemm
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from hpcjobs.clustering import kmeans
from hpcjobs.clustering.assignment import Assignment
from hpcjobs.clustering.start import kmeans_plus_plus
from hpcjobs.clustering.table import Table, survey
from hpcjobs.kernels.compiling import compile_for
from hpcjobs.parallel.communicator import SerialCommunicator
from hpcjobs.parallel.randomness import Stream

SHAPES = ((1_000_000, 32, 64), (400_000, 128, 256), (200_000, 64, 1000), (1_000_000, 8, 16))
FITS = ((500_000, 16, 50), (500_000, 64, 50), (500_000, 256, 50), (500_000, 16, 1000), (500_000, 64, 1000))
MOST = 300  # iterations of a fit
Points = NDArray[np.float32]
Floats = NDArray[np.float64]


def blobs(rows: int, features: int, clusters: int, apart: float = 1.0) -> Points:
    """Overlapping Gaussian blobs, so that neither side converges early."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=apart, size=(clusters, features)).astype(np.float32)
    points = rng.normal(scale=1.0, size=(rows, features)).astype(np.float32)
    points += centres[rng.integers(clusters, size=rows)]
    return points


def table_of(points: Points) -> Table:
    return Table(points, np.zeros(0), 0, len(points), SerialCommunicator(), len(points))


def ours(points: Points, start: Floats, iterations: int) -> Floats:
    """What the job does: the survey, the iterations, the last assignment and its exact inertia."""
    table = table_of(points)
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    ground = survey(table, low, high, None)
    rows = Assignment(len(points))
    centres = start
    for _ in range(iterations):
        totals = rows.update(table, ground.grid, centres)
        kmeans.estimate_inertia(ground, totals, centres)
        if kmeans.any_empty(totals):
            kmeans.refill(table, ground.grid, centres, rows.labels, totals)
            rows.forget()
        moved = kmeans.move(ground.grid, totals, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    rows.update(table, ground.grid, centres)
    kmeans.inertia(table, centres, rows.labels)
    return centres


def theirs(points: Points, start: Floats, iterations: int) -> KMeans:
    model = KMeans(len(start), algorithm="lloyd", init=start.astype(np.float32), n_init=1, max_iter=iterations, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    if model.n_iter_ != iterations:
        sys.exit(f"scikit-learn converged after {model.n_iter_} iterations: choose fewer --iterations")
    return model


def peak_gflops() -> float:
    """Best float32 GEMM rate of this core: large square matrices."""
    a = np.asfortranarray(np.random.default_rng(1).normal(size=(2048, 2048)), dtype=np.float32)
    seconds = take_turns({"gemm": lambda: sgemm(1.0, a, a)}, 5)["gemm"]
    return 2 * 2048**3 / seconds / 1e9


def compare(rows: int, features: int, clusters: int, iterations: int, turns: int, peak: float) -> None:
    """Lloyd's iterations from the same start."""
    points = blobs(rows, features, clusters)
    start = points[np.random.default_rng(2).choice(rows, clusters, replace=False)].astype(np.float64)
    sides = {
        "ours": lambda: ours(points, start, iterations),
        "theirs": lambda: theirs(points, start, iterations).cluster_centers_,
    }
    seconds = take_turns(sides, turns)
    print(f"\nLloyd, {rows} x {features} float32, {clusters} clusters, {iterations} + 1 assignments")
    for name, side in sides.items():
        gflops = 2.0 * rows * features * clusters * (iterations + 1) / seconds[name] / 1e9
        rate = f"{gflops:6.1f} GFLOP/s = {gflops / peak:3.0%} of peak GEMM"
        print(f"  {name:7} {seconds[name]:7.3f} s  {rate}  inertia {quality(points, side()):.9g}")
    print(f"  ratio theirs/ours {seconds['theirs'] / seconds['ours']:.2f}")


def compare_fits(rows: int, features: int, clusters: int, turns: int) -> None:
    """Whole fits from the same start until no label changes; the data are blobs that touch each other."""
    points = blobs(rows, features, clusters, apart=2.0)
    start = points[np.random.default_rng(2).choice(rows, clusters, replace=False)].astype(np.float64)

    def sklearn(algorithm: str) -> NDArray[np.floating]:
        model = KMeans(clusters, algorithm=algorithm, init=start.astype(np.float32), n_init=1, max_iter=MOST, tol=0)
        return np.asarray(model.fit(points).cluster_centers_)

    sides = {
        "ours": lambda: ours(points, start, MOST),
        "lloyd": lambda: sklearn("lloyd"),
        "elkan": lambda: sklearn("elkan"),
    }
    seconds = take_turns(sides, turns)
    print(f"\nWhole fits, {rows} x {features} float32, {clusters} clusters")
    for name, side in sides.items():
        print(f"  {name:7} {seconds[name]:7.3f} s  inertia {quality(points, side()):.9g}")
    print(f"  ratios lloyd/ours {seconds['lloyd'] / seconds['ours']:.2f}, elkan/ours", end=" ")
    print(f"{seconds['elkan'] / seconds['ours']:.2f}", flush=True)


def compare_starts(rows: int, features: int, clusters: int, turns: int) -> None:
    """Greedy k-means++ with the same number of trials; the draws differ."""
    points = blobs(rows, features, clusters)
    sides = {
        "ours": lambda: kmeans_plus_plus(table_of(points), clusters, Stream(0, "benchmark")),
        "theirs": lambda: kmeans_plusplus(points, clusters, random_state=0)[0],
    }
    seconds = take_turns(sides, turns)
    print(f"\nk-means++, {rows} x {features} float32, {clusters} clusters")
    for name, side in sides.items():
        print(f"  {name:7} {seconds[name]:7.3f} s  inertia {quality(points, side()):.9g}")
    print(f"  ratio theirs/ours {seconds['theirs'] / seconds['ours']:.2f}")


def quality(points: Points, centres: NDArray[np.floating]) -> float:
    """The exact inertia of centres, computed alike for both sides."""
    table, labels = table_of(points), np.empty(len(points), dtype=np.int32)
    ground = survey(table, points.min(axis=0).astype(float), points.max(axis=0).astype(float), None)
    double = centres.astype(np.float64)
    kmeans.assign(table, ground.grid, double, labels)
    return kmeans.inertia(table, double, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description="hpcjobs and scikit-learn on one core")
    parser.add_argument("--turns", type=int, default=5, help="timed turns; the median is printed")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--fits", action="store_true", help="also time fits until no label changes (minutes)")
    parser.add_argument("--starts", action="store_true", help="also time k-means++ (minutes)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows: does it run?")
    options = parser.parse_args()
    compile_for(np.dtype(np.float32), np.dtype(np.float32))
    with threadpool_limits(1):
        peak = peak_gflops()
        versions = [f"{module.__name__} {module.__version__}" for module in (np, scipy, sklearn)]
        libraries = {f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in threadpool_info()}
        print(f"{machine()}; {', '.join(versions)}")
        print(f"BLAS {', '.join(sorted(libraries))}; peak sgemm {peak:.1f} GFLOP/s")
        for rows, features, clusters in SHAPES:
            rows = rows // 10 if options.quick else rows
            compare(rows, features, clusters, options.iterations, options.turns, peak)
            if options.starts:
                compare_starts(rows, features, clusters, options.turns)
        for rows, features, clusters in FITS if options.fits else ():
            compare_fits(rows // 10 if options.quick else rows, features, clusters, options.turns)


if __name__ == "__main__":
    main()
