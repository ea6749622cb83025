"""The page of a run: from its folder, or from one of its files alone."""

from pathlib import Path

from hpcjobs import __version__
from hpcjobs.data.inspect import describe_file
from hpcjobs.errors import SettingsError
from hpcjobs.launch.watch.examining import examine
from hpcjobs.launch.watch.why import Explanation
from hpcjobs.report import course, origin, sections
from hpcjobs.report.course import Story
from hpcjobs.report.kinds import Material
from hpcjobs.report.page import Page, Section, Snippet
from hpcjobs.report.reading import Arrays, Sample, arrays, below, image_shape, sample_of_input
from hpcjobs.runs import outcome
from hpcjobs.runs.folder import RunFolder
from hpcjobs.runs.story import tell, tell_run

TONES = {"done": "good", "failed": "bad", "killed": "bad", "lost": "bad", "out of memory": "bad", "node failure": "bad"}
WHOLE = {
    "result": ("A finished result.", "good"),
    "checkpoint": ("A checkpoint: the run had not finished when it was written.", "open"),
    "live": ("A look at a run that was still going on.", "open"),
}


def of_file(path: Path, shape: str | None) -> Page:
    """The page of a result, checkpoint or live file."""
    story = tell(path)
    verdict, tone = WHOLE[story["kind"]]
    checked = "Everything that this page shows was read from blocks that match the digests kept in the file."
    if not story["file_digest"]:
        checked = "The file keeps no digests: whether it is as it was written cannot be told."
    parts = _parts(story, path, shape)
    return Page(story["title"], f"{story['job']}, {story['kind']} file", verdict, tone, parts, made(), (checked,))


def of_run(folder: RunFolder, shape: str | None) -> Page:
    """The page of a run folder: its outcome, and what its result tells, else its newest checkpoint or live file."""
    (told,) = examine([folder.path])
    story, wish = tell_run(folder), folder.read_settings()
    path = Path(story["file"]) if story.get("file") else None
    parts = _parts(story, path, shape)
    if told.command or told.last_lines:
        parts = [_end(told), *parts]
    title = story["title"] if told.state == "done" and story.get("title") else f"{story['job']} in {folder.path.name}"
    text = [*told.details, f"Run folder {folder.path}."]
    if story["kind"] in ("checkpoint", "live"):
        text.append(f"The figures are of the newest {story['kind']} file, {Path(story['file']).name}.")
    kind = f"{wish['name'] or story['job']}, run" + (f", tags: {', '.join(wish['tags'])}" if wish["tags"] else "")
    return Page(title, kind, told.headline, TONES.get(told.state, "open"), parts, made(), text)


def made() -> str:
    """The last line of a page."""
    return f"Made by hpcjobs {__version__} on {outcome.now()}. The page is complete in itself and loads nothing."


def _parts(story: Story, path: Path | None, shape: str | None) -> list[Section]:
    """Every section that there is something to tell in."""
    if path is None:
        if shape is not None:
            raise SettingsError(
                f"--shape {shape!r}: this run has written no file yet, so there is nothing to show as images"
            )
        parts = [sections.asked(story), course.attempts(story, {})]
        return [part for part in parts if part is not None]
    listed, found = describe_file(path)["datasets"], arrays(path)
    group = "result" if story["kind"] == "result" else "history"
    parts = [
        sections.asked(story),
        sections.result(story, listed),
        _figures(story, found, shape),
        *(sections.own(story, below(found, "result")) if story["kind"] == "result" else []),
        course.history(story),
        course.attempts(story, found),
        course.energy(found),
        origin.provenance(story, found),
        origin.opening(path, listed, group),
    ]
    if story["kind"] == "result":
        which = origin.Cited(
            "Result digest SHA-256", story["digest"], story["run_uuid"], story["software"].get("hpcjobs")
        )
        parts.append(origin.citing(story["title"], story["created"], which))
    return [part for part in parts if part is not None]


def _figures(story: Story, found: Arrays, shape: str | None) -> Section | None:
    results = below(found, "result")
    some = sample_of_input(story["inputs"]) if results else Sample()
    known = results.get("centres", some.rows)
    features = known.shape[1] if known is not None and known.ndim == 2 else None
    image = image_shape(shape, some.image, features)
    drawn, odd = sections.figures(story, Material(results, story["history"], some.rows, some.picked, image))
    text = [f"No rows of the input are shown: {some.why}."] if some.why else []
    text += [odd] if odd else []
    return Section("Figures", text=text, figures=drawn) if drawn or text else None


def _end(told: Explanation) -> Section:
    """What to do about a run that is not done, and what it said last."""
    snippets = [Snippet("To go on", [told.command])] if told.command else []
    if told.last_lines:
        snippets.append(Snippet(f"Last lines of {told.log}", told.last_lines))
    return Section("How it stands", snippets=snippets)
