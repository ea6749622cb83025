"""The Dockerfiles keep our rules, and the reader of Dockerfiles refuses what it does not know."""

import re
from pathlib import Path

import pytest
from docker.dockerfile import Stage, expand, read

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker"
FILES = sorted(FOLDER.rglob("*Dockerfile"))
IMAGES = [FOLDER / "cpu.Dockerfile", FOLDER / "cuda.Dockerfile"]


def name(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def write(folder: Path, text: str) -> Path:
    (folder / "Dockerfile").write_text(text)
    return folder / "Dockerfile"


def test_there_are_three_images() -> None:
    assert [name(path) for path in FILES] == ["cpu.Dockerfile", "cuda.Dockerfile", "slurm/Dockerfile"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_is_copied_is_in_the_checkout_or_in_an_earlier_stage(path: Path) -> None:
    earlier: list[str] = []
    for stage in read(path):
        for origin, sources, _ in (instruction.copied() for instruction in stage.all("COPY")):
            assert origin in earlier if origin else all((ROOT / source).exists() for source in sources)
        earlier.append(stage.name)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_package_lists_and_downloads_stay_out_of_the_image(path: Path) -> None:
    image = read(path)[-1]
    for run in image.all("RUN"):
        assert "pip install" not in run.text or "--no-cache-dir" in run.text
        if re.search(r"apt-get update|cluster\.sh install", run.text):
            assert run.text.endswith("rm -rf /var/lib/apt/lists/*")


@pytest.mark.parametrize("path", IMAGES, ids=name)
def test_jobs_do_not_run_as_root(path: Path) -> None:
    image = read(path)[-1]
    assert [user.text for user in image.all("USER")] == ["hpcjobs"]


def test_the_cuda_image_is_the_cpu_image_on_another_base() -> None:
    cpu, cuda = (read(path) for path in IMAGES)
    assert [stage.instructions for stage in cpu] == [stage.instructions for stage in cuda]
    assert {stage.base for stage in cpu} == {"debian:bookworm-slim"}
    assert {stage.base.partition(":")[0] for stage in cuda} == {"nvidia/cuda"}


def test_the_compose_file_builds_our_image_from_the_checkout() -> None:
    text = (FOLDER / "slurm" / "compose.yaml").read_text()
    (context,) = re.findall(r"^ +context: (\S+)$", text, re.MULTILINE)
    (file,) = re.findall(r"^ +dockerfile: (\S+)$", text, re.MULTILINE)
    assert (FOLDER / "slurm" / context).resolve() == ROOT
    assert (ROOT / file) in FILES
    assert f"- {context}:{read(ROOT / file)[-1].all('WORKDIR')[0].text}\n" in text
    (declared,) = read(ROOT / file)[-1].all("ARG")
    for argument in declared.assignments():
        assert f"{argument}: ${{{argument}:-" in text


def test_continuation_lines_comments_and_stages_are_read(tmp_path: Path) -> None:
    text = "# one\nFROM a:1 AS b\nRUN x \\\n# two\n && y\n\nFROM c:2\nCOPY --from=b /x /y /z/\nENV A=1 B=$A\n"
    first, second = read(write(tmp_path, text))
    assert (first.base, first.name, first.all("RUN")[0].text) == ("a:1", "b", "x  && y")
    assert second.all("COPY")[0].copied() == ("b", ("/x", "/y"), "/z/")
    assert second.all("ENV")[0].assignments() == {"A": "1", "B": "$A"}
    assert isinstance(second, Stage)


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian\n",
        "RUN x\n",
        "FROM a:1\nADD x y\n",
        "FROM a:1\nRUN <<END\nx\nEND\n",
        "FROM a:1\nRUN --mount=type=cache,target=/x y\n",
        "FROM a:1\nRUN x \\\n",
    ],
)
def test_what_the_reader_does_not_know_it_refuses(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError):
        read(write(tmp_path, text))


@pytest.mark.parametrize("line", ["COPY --chown=x a b", "COPY *.py b", 'ENV A="b c"', "ENV A b"])
def test_what_the_reader_does_not_know_inside_an_instruction_it_refuses(tmp_path: Path, line: str) -> None:
    ((instruction,),) = [stage.instructions for stage in read(write(tmp_path, f"FROM a:1\n{line}\n"))]
    with pytest.raises(AssertionError):
        instruction.copied() if instruction.word == "COPY" else instruction.assignments()


def test_a_variable_that_nothing_sets_is_an_error() -> None:
    assert expand("/a:$PATH:${PATH}", {"PATH": "/b"}) == "/a:/b:/b"
    with pytest.raises(KeyError):
        expand("$NOTHING", {})
