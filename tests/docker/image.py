"""Building an image without an engine: its instructions, one by one, on a bare Debian root."""

import dataclasses
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from docker.container import Root
from docker.dockerfile import Instruction, Stage, expand
from docker.machine import Registry, apt_settings

ROOT = Path(__file__).parents[2]
# What Debian's own images add to a bare root.
IMAGE_LIKE = 'APT::Keep-Downloaded-Packages "false";\nAcquire::Languages "none";\n'
NETWORK = ("resolv.conf", "hosts")


def debootstrap(target: Path, release: str, mirror: str) -> Root:
    """The smallest Debian, and what of this machine's set-up leads to the network."""
    secure = ["--include=ca-certificates"] if mirror.startswith("https") else []
    argv = ["debootstrap", "--variant=minbase", *secure, release, str(target), mirror]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    for archive in (target / "var" / "cache" / "apt" / "archives").glob("*.deb"):
        archive.unlink()
    shutil.rmtree(target / "var" / "lib" / "apt" / "lists")
    (target / "etc" / "apt" / "apt.conf.d" / "99image").write_text(IMAGE_LIKE + apt_settings())
    for name in NETWORK:
        shutil.copy(Path("/etc") / name, target / "etc" / name)
    return Root(target)


class Builder:
    """Builds images in a folder, each stage from a copy of one root; the same instructions are carried out once."""

    def __init__(self, base: Root, folder: Path, registry: Registry) -> None:
        self._base, self._folder, self._registry = base, folder, registry
        self._built: dict[tuple[tuple[Instruction, ...], ...], Root] = {}

    def build(self, stages: Sequence[Stage]) -> Root:
        """The image that the last stage makes."""
        named: dict[str, Root] = {}
        for number, stage in enumerate(stages):
            so_far = tuple(each.instructions for each in stages[: number + 1])
            if so_far not in self._built:
                self._built[so_far] = self._stage(stage, named)
            named[stage.name] = self._built[so_far]
        return named[stages[-1].name]

    def _stage(self, stage: Stage, named: dict[str, Root]) -> Root:
        root = dataclasses.replace(self._base, path=self._folder / f"stage-{len(self._built)}")
        _copy(self._base.path, root.path)
        arguments: dict[str, str] = {}
        for instruction in stage.instructions:
            variables = arguments | root.env
            text = instruction.text
            match instruction.word:
                case "RUN":
                    root.run("/bin/sh", "-c", text, env=variables, registry=self._registry)
                case "COPY":
                    stage_name, sources, target = instruction.copied()
                    origin = named[stage_name].path if stage_name else ROOT
                    for source in sources:
                        place(origin / source.lstrip("/"), root, expand(target, variables), alone=len(sources) == 1)
                case "ENV":
                    pairs = {key: expand(value, variables) for key, value in instruction.assignments().items()}
                    root = dataclasses.replace(root, env=root.env | pairs)
                case "ARG":
                    arguments |= instruction.assignments()
                case "WORKDIR":
                    (root.path / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
                    root = dataclasses.replace(root, work=text)
                case "USER":
                    root = dataclasses.replace(root, user=text)
                case "ENTRYPOINT":
                    root = dataclasses.replace(root, entry=instruction.argv())
                case "CMD":
                    root = dataclasses.replace(root, command=instruction.argv())
        return root


def place(source: Path, root: Root, target: str, *, alone: bool) -> None:
    """COPY one thing: what a folder holds into the target; a file into it or, where no `/` ends it, as it."""
    assert alone or target.endswith("/"), f"COPY of several needs a folder that ends in /: {target}"
    goal = root.path / target.lstrip("/")
    if not source.is_dir() and target.endswith("/"):
        goal /= source.name
    _copy(source, goal, "--no-preserve=ownership")  # what an engine copies is root's


def _copy(source: Path, target: Path, *more: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = ["cp", "--archive", *more, "--no-target-directory", str(source), str(target)]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
