"""The harness tells the truth about every rank: tried on a small suite in a session of its own."""

from pathlib import Path

import pytest

from harness.sessions import LIMIT, Session, session


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One session in which ranks end in every way there is."""
    return session(tmp_path_factory.mktemp("many"), Path(__file__).with_name("every_end.py").read_text())


def test_tests_that_follow_broken_ones_still_run(many: Session) -> None:
    passed = {name for name, (outcome, _) in many.outcomes.items() if outcome == "passed"}
    shared = {f"test_shares_its_folder[ranks{ranks}-{letter}]" for letter in "ab" for ranks in (1, 2)}
    assert passed == {"test_passes[ranks3]", "test_runs_last_of_all[ranks2]", "test_needs_no_ranks", *shared}
    assert many.code == pytest.ExitCode.TESTS_FAILED


def test_failing_rank_is_named_with_its_traceback(many: Session) -> None:
    text = many.failure("test_fails_on_rank_1[ranks3]")
    assert text.startswith("Failed: rank 1 of 3 failed: AssertionError: one is wrong\n")
    assert 'assert world.rank != 1, "one is wrong"' in text
    assert "rank 0 of 3 had not come to its end when another rank broke" in text
    assert "in test_fails_on_rank_1" in text.partition("rank 0 of 3")[2].partition("---- rank 1")[0]


def test_ranks_that_do_not_wait_for_the_failing_one_report_for_themselves(many: Session) -> None:
    text = many.failure("test_fails_on_rank_2_alone[ranks3]")
    assert "---- rank 0 of 3 passed\n---- rank 1 of 3 passed\n---- rank 2 of 3 failed" in text
    assert "words of rank 2" in text and "words of rank 0" not in text


def test_hanging_rank_is_named_with_the_place_it_hangs_at(many: Session) -> None:
    text = many.failure("test_hangs_on_rank_2[ranks3]")
    assert text.startswith("Failed: rank 2 of 3 hangs in test_hangs_on_rank_2 (")
    assert f"no report within {LIMIT} s" in text
    assert "; rank 0 of 3 waits for the others in barrier" in text
    assert "; rank 1 of 3 waits for the others in barrier" in text


def test_crashing_rank_is_named_with_its_way_to_end(many: Session) -> None:
    assert "rank 0 of 3 crashed: exit code 7, without a report\n" in many.failure("test_exits_on_rank_0[ranks3]")
    assert "rank 1 of 3 crashed: exit code 0, without a report\n" in many.failure("test_vanishes_on_rank_1[ranks3]")
    text = many.failure("test_segfaults_on_rank_1[ranks3]")
    assert text.startswith("Failed: rank 1 of 3 crashed: signal SIGSEGV, without a report\n")
    assert "Fatal Python error: Segmentation fault" in text


def test_failure_after_the_call_counts(many: Session) -> None:
    text = many.failure("test_fails_in_teardown_on_rank_1[ranks3]")
    assert text.startswith("Failed: rank 1 of 3 failed: AssertionError: broken at the end\n")


def test_warnings_are_errors_on_every_rank(many: Session) -> None:
    assert many.failure("test_warns_on_rank_1[ranks3]").startswith("Failed: rank 1 of 3 failed: UserWarning: hot\n")


def test_skip_holds_only_when_all_ranks_agree(many: Session) -> None:
    assert many.outcomes["test_skips_on_all_ranks[ranks3]"][0] == "skipped"
    assert "not today" in many.outcomes["test_skips_on_all_ranks[ranks3]"][1]
    assert "never" in many.outcomes["test_is_skipped_by_its_mark[ranks3]"][1]
    assert many.failure("test_skips_on_rank_1[ranks3]").startswith("Failed: rank 1 of 3 skipped: only here\n")


def test_known_failure_stays_a_known_failure(many: Session) -> None:
    assert many.outcomes["test_is_known_to_fail_on_rank_1[ranks3]"][0] == "skipped"  # junit's word for xfailed
    assert "1 xfailed" in many.printed
