"""Every command and every program in README and docs runs, page by page, as a reader would type it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import clean_environment

from hpcjobs.testing import FakeSlurm

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
INDENTED_COMMAND = re.compile(r"^    (make \w+)", re.MULTILINE)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user on a login node, whose hpcjobs is installed."""
    env = clean_environment(tmp_path) | {"HOME": str(tmp_path)}
    with FakeSlurm(tmp_path / "slurm") as cluster:
        path = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        yield cluster.environment(env | {"PATH": path})


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path, node: dict[str, str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for language, text in blocks(page):
        assert language in ("sh", "python"), f"{page}: a block of {language!r} that nobody runs"
        shell = ["bash", "-euo", "pipefail", "-c", text]
        argv = shell if language == "sh" else [sys.executable, "-W", "error", "-c", text]
        ended = subprocess.run(argv, cwd=work, env=node, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, f"{page}:\n{text}\n{ended.stdout}\n{ended.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"


def test_every_make_target_that_the_readme_names_is_run_by_ci() -> None:
    named = INDENTED_COMMAND.findall((ROOT / "README.md").read_text())
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert named == ["make demo", "make test"]
    assert all(command in script for command in named)


@pytest.mark.parametrize("name", ["kmeans", "cnn", "qlearning"])
def test_the_page_of_a_job_lists_every_flag(name: str) -> None:
    from hpcjobs.jobs import find
    from hpcjobs.settings import fields, flag

    page = (ROOT / "docs" / f"{name}.md").read_text()
    listed = set(re.findall(r"^\| `(--[a-z-]+)`(?:, `(--[a-z-]+)`)? \|", page, re.MULTILINE))
    flags = {flag(key) for key, (_, meta, _) in fields(find(name).Settings).items() if meta.extra["kind"] != "table"}
    assert {flag for flags in listed for flag in flags if flag} == flags


Q_LEARNING = ("qlearning-frozenlake.toml", "qlearning-mountaincar.toml")
EXAMPLES: dict[str, dict[str, Any]] = {
    "kmeans.toml": {"clusters": 10, "restarts": 10, "tolerance": 0.0},
    "choose-clusters.toml": {
        "clusters": "2:21", "init": "k-means-parallel", "scale": "standard", "outliers": "1%",
    },
}  # fmt: skip
NETWORKS = {"cats-dogs.toml": ((150, 150, 3), 2), "cifar10.toml": ((32, 32, 3), 10)}


def test_every_example_is_named_here_and_in_its_readme() -> None:
    readme = (ROOT / "examples" / "README.md").read_text()
    named = [*EXAMPLES, *NETWORKS, "cnn-digits.toml", *Q_LEARNING]
    assert sorted(path.name for path in (ROOT / "examples").glob("*.toml")) == sorted(named)
    assert all(f"`{name}`" in readme for name in named)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_toml_is_accepted_as_it_stands(name: str) -> None:
    from hpcjobs.jobs.kmeans import Settings
    from hpcjobs.settings import build

    built = build(Settings, ROOT / "examples" / name, {"data": "digits.h5"})
    assert built == Settings(data=str(Path.cwd() / "digits.h5"), seed=1, **EXAMPLES[name])


def test_the_network_of_the_example_toml_is_accepted_as_it_stands() -> None:
    from hpcjobs.jobs.cnn import Settings
    from hpcjobs.nn.declared import parse
    from hpcjobs.nn.network import build as lay_out
    from hpcjobs.settings import build

    built = build(Settings, ROOT / "examples" / "cnn-digits.toml", {"data": "digits.h5"})
    assert isinstance(built, Settings)
    assert lay_out(parse(built.layers), (8, 8, 1)).gives == (10,)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_examples_of_images_are_accepted_as_they_stand(name: str, tmp_path: Path) -> None:
    from hpcjobs.jobs.cnn import Settings, check
    from hpcjobs.settings import build

    shape, classes = NETWORKS[name]
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["x"], file["y"] = np.zeros((128, *shape), np.uint8), np.arange(128) % classes
    settings = build(Settings, ROOT / "examples" / name, {"data": f"{tmp_path}/images.h5:/x"})
    assert check(settings).network.gives == (classes if classes > 2 else 1,)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", Q_LEARNING)
def test_the_q_learning_examples_are_accepted_as_they_stand(name: str) -> None:
    from hpcjobs.jobs.qlearning import Settings, check
    from hpcjobs.settings import build

    check(build(Settings, ROOT / "examples" / name, {}))  # type: ignore[arg-type]
