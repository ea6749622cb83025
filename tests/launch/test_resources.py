"""Options of sbatch: a closed grammar. What passes arrives unchanged, whatever else is refused by name."""

import random

import pytest

from hpcjobs.errors import SettingsError
from hpcjobs.launch.resources import FORMS, Resources, arguments, checked, lasting, mebibytes, merged, minutes, passed

HOSTILE = [
    "\n",
    "\r",
    "\0",
    "\t",
    " ",
    "'",
    '"',
    "$(touch canary)",
    "`x`",
    ";",
    "&",
    "|",
    "-",
    "--",
    "%",
    "ü",
    "😀",
    "\\",
    "=",
    ",",
]


def test_options_become_arguments_in_the_words_of_sbatch() -> None:
    asked = Resources(
        nodes=2, ntasks_per_node=8, mem="40G", time="1-12:00:00", gpus_per_node="a100:4", partition="short,main",
        dependency="afterok:12:13,singleton", exclusive=True, sbatch_arg=("--nice=10", "--hold"),
    )  # fmt: skip
    assert arguments(checked(asked)) == [
        "--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=a100:4", "--mem=40G", "--time=1-12:00:00",
        "--partition=short,main", "--dependency=afterok:12:13,singleton", "--exclusive", "--nice=10", "--hold",
    ]  # fmt: skip


@pytest.mark.parametrize("field", sorted(FORMS))
def test_any_text_is_refused_or_arrives_unchanged(field: str) -> None:
    draw = random.Random(field)
    good = {"time": "10", "mem": "4G", "mem_per_cpu": "4G", "gpus_per_node": "4", "dependency": "afterok:1"}.get(
        field, "a_b"
    )
    for _ in range(500):
        pieces = [draw.choice([good, *HOSTILE, chr(draw.randrange(0x2000))]) for _ in range(draw.randrange(1, 4))]
        text = "".join(pieces)
        try:
            found = arguments(checked(Resources(**{field: text})))
        except SettingsError as error:
            assert f"--{field.replace('_', '-')}" in str(error)
            continue
        assert found == [f"--{field.replace('_', '-')}={text}"]
        assert text.isascii()
        assert text.isprintable()
        assert not text.startswith("-")
        assert not set(text) & set(" \t'\"$`;\\%")


def test_one_memory_and_one_gpu_option_at_most() -> None:
    with pytest.raises(SettingsError, match="--mem and --mem-per-cpu exclude each other"):
        checked(Resources(mem="4G", mem_per_cpu="1G"))
    with pytest.raises(SettingsError, match="exclude each other"):
        checked(Resources(gpus_per_node="4", sbatch_arg=("--gres=gpu:4",)))
    with pytest.raises(SettingsError, match="given twice"):
        checked(Resources(sbatch_arg=("--nice=1", "--nice=2")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--array=0-3", "use --sweep"),
        ("--wrap=rm", "hpcjobs sets it itself"),
        ("--output=x", "hpcjobs sets it itself"),
        ("--export=ALL,X=$(touch canary)", "site.sh"),
        ("-p short", "expected a long option"),
        ("--mem=4G", "name it directly: --mem 4G"),
        ("--nise=4", "did you mean 'nice'"),
        ("--comment=a\nb", "expected a value of the form"),
        ("--hold=1", "expected no value"),
    ],
)
def test_what_hpcjobs_sets_or_sbatch_does_not_know_is_not_handed_through(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("$", r"\$")):
        passed(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90:30", 90.5), ("2:30:00", 150), ("1-0", 1440), ("1-2:30", 1590), ("1-2:30:30", 1590.5)],
)
def test_time_limits_are_read_as_the_manual_of_sbatch_says(text: str, expected: float) -> None:
    assert minutes(text) == expected


def test_sizes_are_in_mebibytes_unless_they_name_a_unit() -> None:
    assert [mebibytes(text) for text in ("512", "512M", "2G", "1T", "2048K")] == [512, 512, 2048, 2**20, 2]


def test_memory_of_a_node_follows_from_memory_of_a_core() -> None:
    assert Resources(mem_per_cpu="1G", ntasks_per_node=4, cpus_per_task=2).node_memory_mib() == 8 * 1024
    assert Resources(mem="0").node_memory_mib() is None


def test_a_new_memory_option_takes_the_place_of_any_old_one() -> None:
    old = {"mem_per_cpu": "1G", "nodes": 2, "sbatch_arg": ["--nice=3"]}
    assert merged(old, {"mem": "8G"}) == {"nodes": 2, "mem": "8G", "sbatch_arg": ["--nice=3"]}
    assert merged({"sbatch_arg": ["--mem-per-gpu=3G"]}, {"mem": "8G"}).get("sbatch_arg", []) == []
    assert merged(old, {"sbatch_arg": ["--nice=4", "--hold"]})["sbatch_arg"] == ["--nice=4", "--hold"]


def test_what_was_meant_for_one_job_is_not_asked_for_again() -> None:
    old = {"nodes": 2, "dependency": "afterok:12", "sbatch_arg": ["--hold", "--nice=3", "--begin=now+1hour"]}
    assert lasting(old) == {"nodes": 2, "sbatch_arg": ["--nice=3"]}
