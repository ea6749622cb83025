"""What a batch script lives through is the same on the pretended cluster and on a real one."""

import re

import pytest
from testing.site import Site

SLEEPER = "sleep 60"
# Traps need a child in the background; both lines end up in the log.
PATIENT = (
    "trap 'echo batch USR1' USR1",
    "trap 'echo batch TERM' TERM",
    'srun bash -c \'trap "echo step USR1" USR1; trap "echo step TERM; exit 3" TERM; echo up; '
    "for i in {1..3000}; do sleep 0.1; done' &",
    "step=$!",
    "while wait $step; code=$?; kill -0 $step 2>/dev/null; do :; done",
    "echo ended $code",
)


def test_a_job_runs_where_it_was_submitted_and_ends(slurm: Site) -> None:
    job = slurm.wrap("pwd; echo id $SLURM_JOB_ID $SLURM_JOB_NAME $SLURM_SUBMIT_DIR", "--job-name=named")
    slurm.wait(job, "COMPLETED")
    assert slurm.text("out").splitlines() == [str(slurm.folder), f"id {job} named {slurm.folder}"]


def test_submission_says_the_number_in_words_or_alone(slurm: Site) -> None:
    script = slurm.script("job.sh", "true")
    assert re.fullmatch(r"Submitted batch job \d+", slurm.ask("sbatch", script))
    assert re.fullmatch(r"\d+(;\w+)?", slurm.ask("sbatch", "--parsable", script))


def test_the_script_is_a_copy(slurm: Site) -> None:
    script = slurm.script("job.sh", "#SBATCH --output=out --hold", "echo first; echo $0 $*")
    job = slurm.submit(script, "one", "t w o")
    slurm.script("job.sh", "echo second")
    slurm.ask("scontrol", "release", job)
    slurm.wait(job, "COMPLETED")
    first, zero = slurm.text("out").splitlines()
    assert first == "first"
    assert zero.endswith(" one t w o") and "job.sh" not in zero


def test_command_line_wins_over_environment_wins_over_header(slurm: Site) -> None:
    script = slurm.script("job.sh", "#SBATCH --job-name=header", "#SBATCH --comment=kept", "echo", "#SBATCH --hold")
    plain = slurm.submit(script)
    assert slurm.show(plain)["JobName"] == "header"
    assert slurm.show(plain)["Priority"] != "0"  # the line behind the first command is none
    env = Site(slurm.folder, {**slurm.env, "SBATCH_JOB_NAME": "environment"})
    assert env.show(env.submit(script))["JobName"] == "environment"
    assert env.show(env.submit("--job-name", "line", script))["JobName"] == "line"


@pytest.mark.parametrize(("line", "code"), [("exit 7", "7:0"), ("kill -9 $$", "0:9")])
def test_a_bad_end_is_told(slurm: Site, line: str, code: str) -> None:
    job = slurm.submit("--output=out", slurm.script("job.sh", line))
    slurm.wait(job, "FAILED")
    assert slurm.show(job)["ExitCode"] == code


def test_sbatch_wait_returns_the_exit_code(slurm: Site) -> None:
    assert slurm.call("sbatch", "--wait", "--output=out", slurm.script("job.sh", "exit 7")).returncode == 7


def test_signals_reach_the_steps_or_the_batch_shell(slurm: Site) -> None:
    job = slurm.submit("--output=out", slurm.script("job.sh", *PATIENT))
    slurm.says("up")
    slurm.ask("scancel", "--signal=USR1", job)
    slurm.says("step USR1")
    assert "batch USR1" not in slurm.text("out")
    slurm.ask("scancel", "--signal=USR1", "--batch", job)
    slurm.says("batch USR1")
    assert slurm.text("out").count("step USR1") == 1


def test_cancel_asks_step_and_batch_shell_to_end(slurm: Site) -> None:
    job = slurm.submit("--output=out", slurm.script("job.sh", *PATIENT))
    slurm.says("up")
    slurm.ask("scancel", job)
    slurm.wait(job, "CANCELLED")
    assert "step TERM" in slurm.text("out") and "batch TERM" in slurm.text("out")
    assert "CANCELLED AT" in slurm.text("out")


def test_what_does_not_heed_a_cancel_is_killed(slurm: Site) -> None:
    job = slurm.submit("--output=out", slurm.script("job.sh", "trap '' TERM", "echo up", "while :; do sleep 1; done"))
    slurm.says("up")
    slurm.ask("scancel", job)
    slurm.wait(job, "CANCELLED")


def test_the_signal_before_the_limit_and_the_limit(slurm: Site) -> None:
    job = slurm.submit("--output=out", "--time=1", "--signal=B:USR1@30", slurm.script("job.sh", *PATIENT))
    slurm.says("up")
    slurm.until(lambda: "batch USR1" in slurm.text("out"), "the signal", 2 * slurm.minute + 5)
    assert "step USR1" not in slurm.text("out") and slurm.state(job) == "RUNNING"
    slurm.wait(job, "TIMEOUT", limit_s=2 * slurm.minute + 30)
    assert "DUE TO TIME LIMIT" in slurm.text("out") and "step TERM" in slurm.text("out")


def test_a_requeued_job_runs_again_under_its_number(slurm: Site) -> None:
    lines = ("#SBATCH --output=out --open-mode=append", "echo run ${SLURM_RESTART_COUNT:-0}")
    again = ("[[ -n ${SLURM_RESTART_COUNT:-} ]] && exit 0", "scontrol requeue $SLURM_JOB_ID", "sleep 60")
    job = slurm.submit(slurm.script("job.sh", *lines, *again))
    slurm.says("run 1")
    slurm.wait(job, "COMPLETED")
    assert slurm.show(job)["Restarts"] == "1"
    assert "DUE TO JOB REQUEUE" in slurm.text("out")


def test_requeue_brings_a_cancelled_job_back_to_life(slurm: Site) -> None:
    job = slurm.submit("--output=out", "--open-mode=append", slurm.script("job.sh", "echo run", SLEEPER))
    slurm.says("run")
    slurm.ask("scancel", job)
    slurm.wait(job, "CANCELLED")
    slurm.ask("scontrol", "requeue", job)
    slurm.until(lambda: slurm.text("out").count("run\n") == 2, "a second run")
    slurm.ask("scancel", job)


def test_tasks_of_an_array_have_their_own_index_log_and_fate(slurm: Site) -> None:
    script = slurm.script("job.sh", "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID; exit $((SLURM_ARRAY_TASK_ID % 2))")
    job = slurm.submit("--array=0-2,5", "--output=%A-%a.log", script)
    for task, state in ((0, "COMPLETED"), (1, "FAILED"), (2, "COMPLETED"), (5, "FAILED")):
        slurm.wait(f"{job}_{task}", state)
        assert slurm.text(f"{job}-{task}.log").split() == [str(job), str(task)]


def test_waiting_tasks_are_one_line_until_they_are_asked_for(slurm: Site) -> None:
    job = slurm.submit("--array=0-9%2", "--hold", slurm.script("job.sh", SLEEPER))
    assert slurm.queue("%i|%F|%K|%T|%r", f"--jobs={job}") == [f"{job}_[0-9%2]|{job}|0-9%2|PENDING|JobHeldUser"]
    assert slurm.queue("%i|%K", "--array", f"--jobs={job}") == [f"{job}_{task}|{task}" for task in range(10)]
    slurm.ask("scancel", f"{job}_[0-3]", f"{job}_9")
    assert slurm.queue("%i", f"--jobs={job}") == [f"{job}_[4-8%2]"]
    slurm.ask("scancel", job)
    assert slurm.queue("%i", "--states=PENDING,RUNNING", f"--jobs={job}") == []


def test_only_so_many_tasks_run_at_once(slurm: Site) -> None:
    job = slurm.submit("--array=0-3%1", "--output=/dev/null", slurm.script("job.sh", SLEEPER))
    slurm.until(lambda: slurm.queue("%i", "--states=RUNNING", f"--jobs={job}"), "a task")
    slurm.until(lambda: slurm.queue("%r", "--states=PENDING", f"--jobs={job}") == ["JobArrayTaskLimit"], "the reason")
    assert len(slurm.queue("%i", "--states=RUNNING", f"--jobs={job}")) == 1
    slurm.ask("scancel", job)


@pytest.mark.parametrize(
    ("line", "kind", "runs"),
    [
        ("true", "afterok", True),
        ("false", "afterok", False),
        ("false", "afternotok", True),
        ("false", "afterany", True),
    ],
)
def test_dependencies_hold_until_they_are_met_or_never_can_be(slurm: Site, line: str, kind: str, runs: bool) -> None:
    first = slurm.wrap(line, "--hold")
    second = slurm.wrap("true", f"--dependency={kind}:{first}")
    third = slurm.wrap("true", f"--dependency={kind}:{first}", "--kill-on-invalid-dep=yes")
    slurm.until(lambda: slurm.show(second)["Reason"] == "Dependency", "the reason")
    slurm.ask("scontrol", "release", first)
    slurm.wait(third, "COMPLETED" if runs else "CANCELLED")
    if runs:
        slurm.wait(second, "COMPLETED")
    else:
        assert slurm.queue("%T|%r", f"--jobs={second}") == ["PENDING|DependencyNeverSatisfied"]
        slurm.ask("scancel", second)


def test_what_waits_together_can_be_cancelled_by_name(slurm: Site) -> None:
    jobs = [slurm.wrap("true", "--hold", f"--job-name=some-{slurm.folder.parent.name}") for _ in range(2)]
    slurm.ask("scancel", f"--name=some-{slurm.folder.parent.name}")
    assert [slurm.state(job) for job in jobs] == ["CANCELLED", "CANCELLED"]


def test_a_time_limit_can_be_changed_later(slurm: Site) -> None:
    job = slurm.wrap("true", "--hold", "--time=10")
    slurm.ask("scontrol", "update", f"JobId={job}", "TimeLimit=3")
    assert slurm.queue("%l", f"--jobs={job}") == ["3:00"]
    slurm.ask("scancel", job)


REFUSALS = [
    (("--partition=nope",), "invalid partition specified: nope"),
    (("--mem=1G", "--mem-per-cpu=1G"), "--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive"),
    (("--mem=9T",), "Memory specification can not be satisfied"),
    (("--mem=much",), "Invalid --mem specification"),
    (("--array=0-5000",), "Invalid job array specification"),
    (("--array=x",), "Invalid job array specification"),
    (("--time=soon",), "Invalid --time specification"),
    (("--ntasks=x",), 'Invalid numeric value "x" for --ntasks'),
    (("--dependency=wibble",), "Job dependency problem"),
    (("--signal=XX@1",), "Invalid --signal specification"),
    (("--begin=xx",), "Invalid --begin specification"),
    (("--open-mode=foo",), "Invalid --open-mode specification"),
    (("--constraint=foo",), "Invalid feature specification"),
    (("--wibble",), "unrecognized option '--wibble'"),
]


@pytest.mark.parametrize(("options", "words"), REFUSALS, ids=lambda value: "".join(value) if len(value) < 3 else "")
def test_sbatch_refuses_in_slurms_words(slurm: Site, options: tuple[str, ...], words: str) -> None:
    assert words in slurm.refused("sbatch", *options, slurm.script("job.sh", "true"))


def test_what_is_no_script_is_refused(slurm: Site) -> None:
    assert "Unable to open file nothing.sh" in slurm.refused("sbatch", "nothing.sh")
    (slurm.folder / "plain").write_text("echo hi\n")
    assert "This does not look like a batch script" in slurm.refused("sbatch", "plain")


def test_a_trial_submission_tells_where_and_leaves_no_job(slurm: Site) -> None:
    ended = slurm.call("sbatch", "--test-only", "--ntasks=2", "--job-name=trial", slurm.script("job.sh", "true"))
    assert ended.returncode == 0 and ended.stdout == ""
    assert re.search(
        r"sbatch: Job \d+ to start at \S+ using 2 processors on nodes node\d in partition main", ended.stderr
    )
    assert slurm.queue("%i", "--name=trial", "--states=all") == []


def test_numbers_that_nobody_has(slurm: Site) -> None:
    assert slurm.refused("squeue", "--jobs=999999") == "slurm_load_jobs error: Invalid job id specified\n"
    assert slurm.refused("scontrol", "show", "job", "999999") == "slurm_load_jobs error: Invalid job id specified\n"
    assert slurm.refused("scontrol", "requeue", "999999") == "Invalid job id specified for job 999999\n"
    assert slurm.ask("scancel", "999999") == ""
    assert "Invalid job id abc" in slurm.refused("scancel", "abc")
    assert "Invalid job state specified: wibble" in slurm.refused("squeue", "--states=wibble")


def test_columns_have_the_widths_asked_for(slurm: Site) -> None:
    job = slurm.wrap("true", "--hold", "--job-name=a-long-name")
    assert slurm.queue("%.8i|%5j|%.14j|%T", f"--jobs={job}") == [f"{job:>8}|a-lon|   a-long-name|PENDING"]
    assert slurm.ask("squeue", "--format=%i %T %r", f"--jobs={job}").splitlines()[0] == "JOBID STATE REASON"
    assert slurm.ask("squeue", "--noheader", "--Format=state:9,name:12", f"--jobs={job}") == "PENDING  a-long-name"
    slurm.ask("scancel", job)


def test_srun_runs_each_task_with_its_rank(slurm: Site) -> None:
    line = "srun bash -c 'echo rank $SLURM_PROCID of $SLURM_STEP_NUM_TASKS in step $SLURM_STEP_ID'"
    job = slurm.submit("--output=out", "--ntasks=2", slurm.script("job.sh", line, line))
    slurm.wait(job, "COMPLETED")
    expected = [f"rank {rank} of 2 in step {step}" for rank in (0, 1) for step in (0, 1)]
    assert sorted(slurm.text("out").splitlines()) == expected


def test_srun_ends_with_the_highest_exit_code(slurm: Site) -> None:
    assert slurm.call("srun", "--ntasks=2", "bash", "-c", "exit $((SLURM_PROCID * 3))").returncode == 3


def test_an_unknown_kind_of_mpi_is_refused(slurm: Site) -> None:
    told = slurm.call("srun", "--mpi=list")
    assert {"none", "pmi2"} <= set((told.stdout + told.stderr).split())
    assert "Invalid MPI type 'wibble'" in slurm.refused("srun", "--mpi=wibble", "true")
