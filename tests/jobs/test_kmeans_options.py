"""Every option of k-means: the same bits on any number of ranks, in memory or not, interrupted or not, in any type."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import hpcjobs as command
from command import story
from jobs.in_threads import Run, finished, kmeans_on, rows_with_traps, write
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.preprocessing import normalize

from hpcjobs.errors import DataError, SettingsError
from hpcjobs.jobs import kmeans
from hpcjobs.settings import build

ROWS = 257
OPTIONS: dict[str, dict[str, object]] = {
    "standard": {"scale": "standard"},
    "robust": {"scale": "robust", "quality": True},
    "unit": {"scale": "unit"},
    "cosine": {"metric": "cosine", "outliers": "2%"},
    "cosine of standard": {"metric": "cosine", "scale": "standard"},
    "k-means||": {"init": "k-means-parallel", "restarts": 2},
    "random": {"init": "random", "quality": True, "outliers": "0.05"},
    "range": {"clusters": "1:6", "truth": "t"},
    "range of steps": {"clusters": "2:9:3", "init": "k-means-parallel", "scale": "standard", "restarts": 2},
    "batches": {"batch_size": 40, "max_iterations": 30},
    "batches of a range": {"batch_size": 25, "clusters": "3:5", "max_iterations": 20, "scale": "robust"},
    "batches by angle": {"batch_size": 40, "metric": "cosine", "init": "k-means-parallel", "max_iterations": 30},
    "all that is measured": {"quality": True, "truth": "t", "outliers": "1%"},
}
SOURCES = {"plain": {}, "weighted": {"weights": "w"}, "with holes": {"data": "holes", "missing": "omit"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("options")
    draw = np.random.default_rng(6)
    rows = rows_with_traps(ROWS)
    holes = np.where(draw.random(rows.shape) < 0.05, np.nan, rows)
    holes[60:200] = np.nan  # one of four ranks holds none, a block of the file none
    weights = draw.integers(0, 4, size=ROWS) / 3
    classes = draw.integers(-1, 3, size=ROWS)
    write(made / "d.h5", x=rows.astype(np.float32), holes=holes, w=weights, t=classes)
    return made


def flags_of(folder: Path, option: str, source: str) -> dict[str, object]:
    flags = {"data": "x", "clusters": 4} | OPTIONS[option] | SOURCES[source]
    named = {name: f"{folder}/d.h5:/{flags[name]}" for name in ("data", "weights", "truth") if name in flags}
    return flags | named


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("option", OPTIONS)
def test_any_number_of_ranks_in_memory_or_not(folder: Path, tmp_path: Path, option: str, source: str) -> None:
    flags = flags_of(folder, option, source)
    expected = finished(tmp_path, 1, name="1", **flags)
    check(expected, flags)
    assert all(np.isfinite(column).all() for column in expected.history.values())
    for ranks, memory in [(3, "3KB")] if source != "plain" else [(2, None), (3, "3KB"), (4, None)]:
        found = finished(tmp_path, ranks, name=f"{ranks}-{memory}", memory=memory, **flags)
        assert found.digest == expected.digest
        for name, column in found.history.items():
            np.testing.assert_array_equal(column, expected.history[name])


def check(found: Run, flags: Mapping[str, object]) -> None:
    """What any result says of itself."""
    result = found.result
    used = result["labels"] >= 0
    assert (result["counts"] == np.bincount(result["labels"][used], minlength=len(result["counts"]))).all()
    assert used.all() == ("missing" not in flags)
    assert np.isfinite(result["centres"]).all()
    if "outliers" in flags:
        text = str(flags["outliers"])
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
        assert result["outlier"].sum() == round(share * used.sum())
        assert not result["outlier"][~used].any()
        least = result["distance"][result["outlier"] == 1].min()
        assert (result["distance"][used & (result["outlier"] == 0)] <= least).all()
        assert np.isnan(result["distance"][~used]).all()


@pytest.mark.parametrize("option", OPTIONS)
def test_more_ranks_than_rows(tmp_path: Path, option: str) -> None:
    rows = np.array([[1.0, 2.0], [2.0, 1.0], [-5.0, 4.0]])
    write(tmp_path / "d.h5", x=rows, t=np.arange(3))
    flags = {"data": "x"} | OPTIONS[option] | {"clusters": "2:4" if "range" in option else 3, "batch_size": 0}
    flags |= {name: f"{tmp_path}/d.h5:/{flags[name]}" for name in ("data", "truth") if name in flags}
    if "batches" in option:
        flags["batch_size"] = 3
    first = finished(tmp_path, 1, name="one", **flags)
    assert finished(tmp_path, 5, name="five", **flags).digest == first.digest
    assert finished(tmp_path, 2, name="few", memory="1", **flags).digest == first.digest


# Interrupted.


@pytest.mark.parametrize("option", ["range", "range of steps", "batches", "batches of a range", "k-means||", "cosine"])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(folder: Path, tmp_path: Path, option: str) -> None:
    flags = flags_of(folder, option, "plain")
    whole = finished(tmp_path, 2, name="whole", **flags)
    steps = len(whole.history["step"])
    assert steps > 2
    for stop in (1, steps - 1):
        name = f"stopped-{stop}"
        assert kmeans_on(tmp_path, 3, name=name, stop_after=stop, **flags) is None
        again = finished(tmp_path, 1, name=name, memory="3KB", **flags)
        assert again.digest == whole.digest
        for column, values in whole.history.items():
            np.testing.assert_array_equal(again.history[column], values)


@pytest.mark.parametrize("option", ["range", "batches", "cosine", "batches of a range"])
def test_a_run_that_is_extended_ends_like_one_that_was_long_from_the_start(
    folder: Path, tmp_path: Path, option: str
) -> None:
    flags = flags_of(folder, option, "plain") | {"tolerance": 0}
    long = finished(tmp_path, 2, name="long", **flags | {"max_iterations": 12})
    short = finished(tmp_path, 2, name="short", **flags | {"max_iterations": 3})
    assert short.digest != long.digest
    extended = finished(tmp_path, 3, name="short", **flags | {"max_iterations": 12})
    assert extended.digest == long.digest
    np.testing.assert_array_equal(extended.history["shift"], long.history["shift"])


def test_a_checkpoint_keeps_the_sign_of_a_zero(tmp_path: Path) -> None:
    """An empty cluster keeps its centre, -0.0 too, and scaled centres are told as they are."""
    rows = np.array([[-0.0, 1.0], [-0.0, 5.0], [-0.0, 5.0]])
    data = write(tmp_path / "d.h5", x=rows) + ":/x"
    flags: dict[str, object] = {"data": data, "clusters": 3, "scale": "unit"}
    whole = finished(tmp_path, name="whole", **flags)
    assert kmeans_on(tmp_path, name="stopped", stop_after=1, **flags) is None
    assert finished(tmp_path, name="stopped", **flags).digest == whole.digest


def test_the_command_runs_stops_and_goes_on_like_threads(folder: Path, tmp_path: Path) -> None:
    """The same by `hpcjobs run -n`, over MPI: stopped by its iterations, extended on other ranks, shown."""
    data, truth = f"{folder}/d.h5:/x", f"{folder}/d.h5:/t"
    flags: dict[str, object] = {"data": data, "truth": truth, "clusters": "1:5", "scale": "robust", "tolerance": 0}
    expected = finished(tmp_path, 2, name="threads", max_iterations=6, **flags)
    asked = [part for name, value in flags.items() for part in (f"--{name}", value)]
    command(tmp_path, "run", "kmeans", *asked, "--max-iterations", 2, "--memory", "3KB", "-n", 3, "--out", "run")
    command(tmp_path, "resume", "run", "--max-iterations", 6, "-n", 2)
    told = story(tmp_path, "run")
    assert told["digest"] == expected.digest
    assert told["result"]["score_clusters"] == [1, 2, 3, 4]
    assert told["result"]["score_silhouette"][0] is None  # one cluster has none, and JSON no NaN
    shown = command(tmp_path, "show", "run").stdout
    assert "of 4 numbers of clusters tried" in shown
    assert "into 4 clusters" in shown or "into 3 clusters" in shown or "into 2 clusters" in shown


def test_damage_to_the_rows_of_one_rank_ends_all_in_words(tmp_path: Path) -> None:
    """Rows in a file of ours that stay there are checked as they are first read, by the rank that reads them."""
    blobs = ("data", "generate", "blobs", "b.h5", "--rows", 300_000, "--columns", 8, "--centres", 3)
    command(tmp_path, *blobs)
    path = tmp_path / "b.h5"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size * 3 // 4)
        found = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([found[0] ^ 1]))
    with pytest.raises(DataError, match=r"block .* is damaged"):
        finished(tmp_path, 3, data=f"{path}", clusters=2, memory="1MB")


# Any type, any shape.


@pytest.mark.parametrize(
    ("kind", "option"),
    [("f2", "standard"), ("u2", "batches"), ("i1", "robust"), ("u1", "cosine"), (">f4", "range"), ("i4", "standard")],
)
def test_short_types_are_clustered_like_the_same_values_in_a_long_one(tmp_path: Path, kind: str, option: str) -> None:
    draw = np.random.default_rng(7)
    values = (draw.integers(1, 3, size=(90, 1)) * 40 + draw.integers(1, 40, size=(90, 3))).astype(kind)
    wide = np.float64 if kind == "i4" else np.float32
    write(tmp_path / "d.h5", short=values, wide=values.astype(wide), t=np.arange(90) % 3)
    flags = {"clusters": 3} | OPTIONS[option] | {"truth": f"{tmp_path}/d.h5:/t"}
    short = finished(tmp_path, 2, name="short", data=f"{tmp_path}/d.h5:/short", **flags)
    same = finished(tmp_path, 1, name="wide", data=f"{tmp_path}/d.h5:/wide", **flags)
    streamed = finished(tmp_path, 2, name="streamed", data=f"{tmp_path}/d.h5:/short", memory="500B", **flags)
    assert short.digest == same.digest == streamed.digest


@pytest.mark.parametrize("packed", [None, "gzip"])
def test_images_are_clustered_as_flat_rows(tmp_path: Path, packed: str | None) -> None:
    import h5py

    images = np.random.default_rng(8).integers(0, 256, size=(80, 4, 5, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("images", data=images, compression=packed)
        file["flat"] = images.reshape(80, 60)
    for option in ("standard", "batches", "k-means||"):
        flags = {"clusters": 4} | OPTIONS[option]
        flat = finished(tmp_path, 1, name=f"flat-{option}", data=f"{tmp_path}/d.h5:/flat", **flags)
        data = f"{tmp_path}/d.h5:/images"
        assert finished(tmp_path, 2, name=f"images-{option}", data=data, **flags).digest == flat.digest
        assert finished(tmp_path, 2, name=f"file-{option}", data=data, memory="2KB", **flags).digest == flat.digest


# What the options mean.


def test_measures_of_a_result_are_those_of_scikit_learn(folder: Path, tmp_path: Path) -> None:
    rows = rows_with_traps(ROWS).astype(np.float32).astype(np.float64)
    found = finished(tmp_path, 3, **flags_of(folder, "all that is measured", "plain")).result
    labels = found["labels"]
    classes = read(folder, "t")
    known = classes >= 0
    pairs = {
        "silhouette": metrics.silhouette_score(rows, labels),
        "davies_bouldin": metrics.davies_bouldin_score(rows, labels),
        "calinski_harabasz": metrics.calinski_harabasz_score(rows, labels),
        "adjusted_rand": metrics.adjusted_rand_score(classes[known], labels[known]),
        "normalised_mutual_information": metrics.normalized_mutual_info_score(classes[known], labels[known]),
    }
    for name, theirs in pairs.items():
        np.testing.assert_allclose(found[name], theirs, rtol=1e-9, err_msg=name)


def read(folder: Path, name: str) -> NDArray[Any]:
    import h5py

    with h5py.File(folder / "d.h5") as file:
        return np.asarray(file[name][()])


def test_a_range_tells_of_each_number_what_a_run_of_it_alone_does(folder: Path, tmp_path: Path) -> None:
    flags = flags_of(folder, "range", "plain")
    found = finished(tmp_path, 2, **flags).result
    assert found["score_clusters"].tolist() == [1, 2, 3, 4, 5]
    for place, clusters in enumerate(found["score_clusters"].tolist()):
        alone = finished(tmp_path, 1, name=f"k{clusters}", **flags | {"clusters": clusters, "quality": True}).result
        for name in ("inertia", "simplified_silhouette", "silhouette", "davies_bouldin", "calinski_harabasz"):
            value, expected = found[f"score_{name}"][place], alone.get(name, np.nan)
            assert value == expected or (np.isnan(value) and np.isnan(expected)), (clusters, name)
        if clusters == len(found["centres"]):
            for name in alone:
                np.testing.assert_array_equal(found[name], alone[name])
    assert len(found["centres"]) == 1 + int(np.nanargmax(found["score_simplified_silhouette"]))


def test_a_range_finds_the_number_of_blobs_and_not_the_number_of_rows(tmp_path: Path) -> None:
    draw = np.random.default_rng(9)
    rows = np.repeat([[0.0, 0], [10, 0], [0, 10], [10, 10]], 10, axis=0) + draw.normal(size=(40, 2))
    data = write(tmp_path / "d.h5", x=rows) + ":/x"
    found = finished(tmp_path, 2, data=data, clusters="2:41").result
    assert len(found["centres"]) == 4
    assert found["score_simplified_silhouette"][-1] == 0  # rows alone in their clusters say nothing


def test_centres_are_in_units_of_the_data_and_reproduce_the_labels(folder: Path, tmp_path: Path) -> None:
    rows = rows_with_traps(ROWS).astype(np.float32).astype(np.float64)
    for option in ("standard", "robust"):
        found = finished(tmp_path, 2, name=option, **flags_of(folder, option, "plain")).result
        np.testing.assert_allclose(
            found["scaled_centres"], (found["centres"] - found["offset"]) / found["factor"], rtol=1e-9, atol=1e-9
        )
        means = np.array([rows[found["labels"] == number].mean(axis=0) for number in range(4)])
        np.testing.assert_allclose(found["centres"], means, rtol=1e-2, atol=0.1)  # the last shift is within tolerance
        scaled = ((rows - found["offset"]) / found["factor"]).astype(np.float32)
        squares = ((scaled[:, None].astype(np.float64) - found["scaled_centres"]) ** 2).sum(axis=2)
        assert (squares.argmin(axis=1) == found["labels"]).all()


def spherical(rows: NDArray[np.float64], centres: NDArray[np.float64], iterations: int) -> NDArray[np.float64]:
    """Spherical k-means by the book (Dhillon and Modha, 2001): the largest cosine, then the mean direction."""
    for _ in range(iterations):
        labels = (rows @ centres.T).argmax(axis=1)
        sums = np.array([rows[labels == number].sum(axis=0) for number in range(len(centres))])
        centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return centres


def test_cosine_is_spherical_kmeans(tmp_path: Path) -> None:
    rows = np.random.default_rng(10).normal(size=(400, 6)) * np.geomspace(1e-3, 1e3, 400)[:, None]
    write(tmp_path / "d.h5", x=rows, c=rows[:5] * 7)
    flags = {"data": f"{tmp_path}/d.h5:/x", "init": f"{tmp_path}/d.h5:/c", "clusters": 5, "tolerance": 0}
    found = finished(tmp_path, 3, metric="cosine", max_iterations=12, **flags).result
    unit = normalize(rows)
    expected = spherical(unit, normalize(rows[:5]), int(found["iterations"]))
    np.testing.assert_allclose(found["centres"], expected, rtol=1e-9, atol=1e-12)
    assert (found["labels"] == (unit @ expected.T).argmax(axis=1)).all()
    similar = (unit * expected[found["labels"]]).sum(axis=1)
    np.testing.assert_allclose(found["inertia"], (2 - 2 * similar).sum(), rtol=1e-9)
    write(tmp_path / "longer.h5", x=rows * 1024.0 ** np.arange(400)[:, None] ** 0.5)
    flags["data"] = f"{tmp_path}/longer.h5:/x"
    longer = finished(tmp_path, 1, name="longer", metric="cosine", max_iterations=12, **flags).result
    np.testing.assert_allclose(longer["centres"], found["centres"], rtol=1e-9, atol=1e-12)


# Mistakes and warnings.


def test_rows_without_direction_are_named_wherever_they_lie(tmp_path: Path) -> None:
    rows = rows_with_traps(60)
    rows[[41, 55]] = 0
    rows[7, 1] = np.nan
    data = write(tmp_path / "d.h5", x=rows, id=np.arange(60) + 1000) + ":/x"
    for memory in ("1GB", "500B"):
        with pytest.raises(DataError, match=r"2 of 60 rows hold nothing but zeros.*: id 1041, id 1055; remove"):
            finished(tmp_path, 3, data=data, clusters=2, metric="cosine", missing="omit", memory=memory)


def test_weights_of_rows_that_are_left_out_are_none(tmp_path: Path) -> None:
    rows, weights = rows_with_traps(30), np.zeros(30)
    rows[5:9] = np.nan
    weights[5:9] = 1.0
    path = write(tmp_path / "d.h5", x=rows, w=weights)
    for init in ("k-means++", "k-means-parallel", "random"):
        with pytest.raises(SettingsError, match="every weight of the rows that are not left out is 0"):
            finished(tmp_path, 2, data=f"{path}:/x", weights=f"{path}:/w", missing="omit", clusters=2, init=init)


def test_batches_in_which_few_rows_have_weight_do_not_end_the_run(tmp_path: Path) -> None:
    rows = rows_with_traps(200)
    path = write(tmp_path / "d.h5", x=rows, w=(np.arange(200) % 40 == 0).astype(float))
    flags: dict[str, object] = {"data": f"{path}:/x", "weights": f"{path}:/w", "clusters": 2, "batch_size": 3}
    found = finished(tmp_path, 2, max_iterations=50, **flags)
    assert found.history["shift"][0] == 0.0  # no row of the first batch has weight
    assert found.result["iterations"] > 10


def test_rows_that_overflow_once_scaled_are_named(tmp_path: Path) -> None:
    rows = (np.arange(40) % 3 * 1e-30)[:, None].astype(np.float32)
    rows[17] = 1e30
    data = write(tmp_path / "d.h5", x=rows) + ":/x"
    for memory in ("1GB", "50B"):
        with pytest.raises(DataError, match="1 of 40 rows hold values too large once scaled: row 17; use --scale"):
            finished(tmp_path, 2, data=data, clusters=2, scale="robust", memory=memory)


def test_a_truth_that_is_none_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    rows = rows_with_traps(30)
    wrong = {"halves": np.arange(30) / 2, "holes": np.where(np.arange(30) == 4, np.nan, 1.0), "none": np.full(30, -1)}
    path = write(tmp_path / "d.h5", x=rows, **wrong)
    for name, words in (("halves", "15 of 30 rows hold a class that"), ("holes", "row 4"), ("none", "no row has a")):
        with pytest.raises(DataError, match=words):
            finished(tmp_path, 2, name=name, data=f"{path}:/x", clusters=2, truth=f"{path}:/{name}")
        assert not list((tmp_path / name / "checkpoints").iterdir())


def test_what_the_user_should_know_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = rows_with_traps(60) * [1, 1e4, 1, 1]
    path = write(tmp_path / "d.h5", x=rows, t=np.arange(60) % 2 * 2 - 1)
    finished(tmp_path, 3, name="a", data=f"{path}:/x", clusters=2, truth=f"{path}:/t", memory="300B")
    told = capfd.readouterr().err
    assert told.count("feature 1 holds") == 1
    assert "--scale standard" in told
    assert told.count("30 rows have a negative class") == 1
    assert told.count("stay in the file") == 1
    finished(tmp_path, 2, name="b", data=f"{path}:/x", clusters=2, scale="standard")
    assert "feature" not in capfd.readouterr().err


def test_an_extended_run_of_many_starts_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    flags = flags_of(folder, "k-means||", "plain")
    finished(tmp_path, 2, **flags | {"max_iterations": 2})
    with pytest.raises(SettingsError, match="--max-iterations: 2 -> 5: a run of 2 starts cannot be extended"):
        finished(tmp_path, 2, **flags | {"max_iterations": 5})


@pytest.mark.parametrize(("scale", "each"), [("none", 1), ("standard", 5)])
def test_need_counts_the_rows_as_read_and_as_clustered(tmp_path: Path, scale: str, each: int) -> None:
    path = write(tmp_path / "d.h5", x=np.zeros((50_000, 100), dtype=np.uint8))
    settings: Any = build(kmeans.Settings, None, {"data": f"{path}:/x", "clusters": 3, "scale": scale})
    for ranks in (1, 4):
        rows = 50_000 // ranks
        rest = kmeans.need(settings, ranks) - kmeans.BASE_BYTES - int(1.2 * rows * 100 * each)
        assert rest == (33 + 24) * rows + 4 * 3**2 + 64 * 3 * 100  # all rows may be gathered at once
    tight: Any = build(kmeans.Settings, None, {"data": f"{path}:/x", "clusters": 3, "memory": "1MB"})
    assert kmeans.need(tight, 1) < kmeans.need(settings, 1)
