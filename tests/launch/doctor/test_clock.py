"""Clocks that are off, zones that do not exist, and who says whether a clock is kept right."""

from pathlib import Path

import pytest

from hpcjobs.launch.doctor import clock
from hpcjobs.launch.doctor._finding import OK, PROBLEM, WARNING, Machine

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (0.0, OK, "has our time"),
        (-1.5, OK, "has our time"),
        (30.0, WARNING, "30 s ahead of"),
        (-30.0, WARNING, "30 s behind"),
        (-4000.0, PROBLEM, "4000 s behind"),
    ],
)
def test_the_clock_of_the_file_system_against_ours(seconds: float, verdict: str, words: str) -> None:
    found = clock.judge_offset(seconds)
    assert found.verdict == verdict
    assert words in found.found
    assert bool(found.fix) == (verdict != OK)


def test_files_here_have_our_time(tmp_path: Path) -> None:
    assert clock.of_files(Machine(tmp_path)).verdict == OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_server_with_another_time_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = clock.time.time
    monkeypatch.setattr(clock.time, "time", lambda: ours() + 500)
    found = clock.of_files(Machine(tmp_path))
    assert found.verdict == PROBLEM
    assert "500 s behind" in found.found


@pytest.mark.parametrize(
    ("installed", "zone", "kept", "verdict", "words", "fix"),
    [
        (NOW - 5, "", True, OK, "2027-01-15 08:00:00 UTC, synchronised", ""),
        (NOW - 5, "Europe/Berlin", None, OK, "is not told", ""),
        (NOW + 3600, "", None, OK, "is not told", ""),
        (NOW - 5, "", False, WARNING, "not synchronised", "sudo timedatectl set-ntp true"),
        (NOW - 5, "Erope/Berlin", True, WARNING, "TZ=Erope/Berlin", "unset TZ"),
        (NOW + 1e6, "", True, PROBLEM, "before hpcjobs was installed", "sudo timedatectl set-ntp true"),
    ],
)
def test_the_verdict_on_a_clock(
    installed: float, zone: str, kept: bool | None, verdict: str, words: str, fix: str
) -> None:
    found = clock.judge_clock(NOW, installed, zone, kept)
    assert (found.verdict, found.fix) == (verdict, fix)
    assert words in found.found


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("", True),
        ("UTC", True),
        (":UTC", True),
        ("CET-1CEST,M3.5.0,M10.5.0/3", True),
        ("<+03>-3", True),
        ("/etc/localtime", True),
        ("Erope/Berlin", False),
        ("../../etc/passwd", False),
    ],
)
def test_time_zones_are_told_from_typing_mistakes(name: str, known: bool) -> None:
    assert clock.zone_is_known(name) == known


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({}, None),
        ({"timedatectl": "echo yes"}, True),
        ({"timedatectl": "echo no"}, False),
        ({"timedatectl": "echo 'System has not been booted' >&2; exit 1"}, None),
        ({"timedatectl": "exit 1", "chronyc": "echo 'Leap status     : Normal'"}, True),
        ({"chronyc": "echo 'Leap status     : Not synchronised'"}, False),
        ({"chronyc": "echo '506 Cannot talk to daemon'; exit 1"}, None),
    ],
)
def test_who_says_whether_the_clock_is_kept_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], expected: bool | None
) -> None:
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert clock.synchronised() is expected
