"""What the pretended commands print, where a real cluster would answer for its own nodes and history."""

import json
import re
import sys

import pytest
from testing.site import Site

from hpcjobs.testing import FakeSlurm


def test_sinfo_tells_partitions_and_nodes(site: Site) -> None:
    assert site.ask("sinfo", "-h", "-o", "%R|%P|%a|%l|%L|%D|%c|%m|%G|%T|%f|%C|%s|%N").splitlines() == [
        "main|main*|up|infinite|n/a|4|8|16000|(null)|idle|cpu|0/32/0/32|1-infinite|node[1-4]",
        "short|short|up|2:00|1:00|4|8|16000|(null)|idle|cpu|0/32/0/32|1-infinite|node[1-4]",
        "scavenge|scavenge|up|infinite|n/a|4|8|16000|(null)|idle|cpu|0/32/0/32|1-infinite|node[1-4]",
        "gpu|gpu|up|infinite|n/a|2|8|16000|gpu:a100:4|idle|gpu,a100|0/16/0/16|1-infinite|gpu[1-2]",
    ]
    assert site.ask("sinfo").splitlines()[0] == "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST"
    assert len(site.ask("sinfo", "-N", "-h", "-p", "main").splitlines()) == 4


def test_taken_and_broken_nodes_have_lines_of_their_own(site: Site, pretend: FakeSlurm) -> None:
    job = site.wrap("sleep 60", "--ntasks=3")
    site.wait(job, "RUNNING")
    pretend.configure(down=["node4"])
    assert site.ask("sinfo", "-h", "-p", "main", "-o", "%t %D %N %C").splitlines() == [
        "mix 1 node1 3/5/0/8",
        "idle 2 node[2-3] 0/16/0/16",
        "down 1 node4 0/0/8/8",
    ]


def test_scontrol_shows_partitions_nodes_and_configuration(site: Site) -> None:
    partitions = site.ask("scontrol", "show", "partition", "-o").splitlines()
    assert re.match(
        r"PartitionName=main .*Default=YES .*MaxTime=UNLIMITED .*Nodes=node\[1-4\] .*TotalCPUs=32", partitions[0]
    )
    assert re.match(r"PartitionName=short .*DefaultTime=00:01:00 .*MaxTime=00:02:00", partitions[1])
    assert "PreemptMode=REQUEUE" in partitions[2]
    assert "Gres=gpu:a100:4" in site.ask("scontrol", "show", "node", "-o", "gpu1")
    config = dict(re.findall(r"^(\w+) += (.*)$", site.ask("scontrol", "show", "config"), re.MULTILINE))
    assert (config["MaxArraySize"], config["MinJobAge"]) == ("1001", "300 sec")
    assert site.ask("scontrol", "show", "hostnames", "node[1-2],gpu1").split() == ["node1", "node2", "gpu1"]


def test_sacct_tells_jobs_and_steps(site: Site) -> None:
    spend = "python3 -c 'x = bytearray(60_000_000); sum(range(2_000_000))'"
    job = site.submit("--time=5", "--ntasks=2", "--output=out", site.script("job.sh", f"srun -n1 {spend}", "false"))
    site.wait(job, "FAILED")
    names = "JobID,JobName,State,ExitCode,NNodes,NCPUS,NTasks,TimelimitRaw,Partition,Reason,ReqMem"
    assert site.account(names, f"--jobs={job}") == [
        [str(job), "job.sh", "FAILED", "1:0", "1", "2", "", "5", "main", "NonZeroExitCode", "4000M"],
        [f"{job}.batch", "batch", "FAILED", "1:0", "1", "2", "1", "", "", "", ""],
        [f"{job}.extern", "extern", "COMPLETED", "0:0", "1", "2", "1", "", "", "", ""],
        [f"{job}.0", "python3", "COMPLETED", "0:0", "1", "2", "1", "", "", "", ""],
    ]
    (batch, _), (step, cpu) = [site.account("MaxRSS,TotalCPU", f"--jobs={job}")[line] for line in (1, 3)]
    assert 60_000 < int(step.removesuffix("K")) < 200_000 and int(batch.removesuffix("K")) < 60_000
    assert float(cpu.rpartition(":")[2]) > 0.01


def test_sacct_cuts_to_its_columns_unless_told_not_to(site: Site) -> None:
    job = site.wrap("true", "--hold", "--job-name=quite-a-long-name")
    site.ask("scancel", job)
    told = site.call("sacct", "-X", f"--jobs={job}", "--format=JobID,JobName,State,JobName%20").stdout.splitlines()
    assert told[0] == "JobID           JobName      State              JobName "
    assert told[1] == "------------ ---------- ---------- -------------------- "
    assert told[2] == f"{job:<12} quite-a-l+ CANCELLED+    quite-a-long-name "
    assert site.account("State", "-X")[0][0].startswith("CANCELLED by ")


def test_sacct_refuses_fields_it_does_not_know(site: Site) -> None:
    assert site.refused("sacct", "--format=JobID,Foo") == 'sacct: fatal: Invalid field requested: "Foo"\n'


def test_sacct_tells_what_it_is_told_to(site: Site, pretend: FakeSlurm) -> None:
    pretend.scenario(sacct_fields={"MaxRSS": "7G", "ConsumedEnergyRaw": "1234"})
    job = site.wrap("true")
    site.wait(job, "COMPLETED")
    lines = site.account("JobID,MaxRSS,ConsumedEnergyRaw", f"--jobs={job}")
    assert lines[:2] == [[str(job), "", "1234"], [f"{job}.batch", "7G", "1234"]]


def test_waiting_tasks_are_one_line_of_sacct_unless_asked_for(site: Site) -> None:
    job = site.submit("--array=3-9%2", "--hold", site.script("job.sh", "true"))
    assert site.account("JobID,State", f"--jobs={job}") == [[f"{job}_[3-9%2]", "PENDING"]]
    assert len(site.account("JobID", "--array", f"--jobs={job}")) == 7


def test_attempts_are_told_when_asked_for(site: Site) -> None:
    job = site.wrap("sleep 60")
    site.wait(job, "RUNNING")
    site.ask("scontrol", "requeue", job)
    site.until(lambda: site.show(job)["Restarts"] == "1" and site.state(job) == "RUNNING", "a second run")
    assert site.account("State", "-X", f"--jobs={job}") == [["RUNNING"]]
    assert site.account("State", "-X", "-D", f"--jobs={job}") == [["REQUEUED"], ["RUNNING"]]


def test_a_finished_job_leaves_the_queue_after_a_while(site: Site, pretend: FakeSlurm) -> None:
    job = site.wrap("true")
    site.wait(job, "COMPLETED")
    assert site.queue("%T", "--states=all", f"--jobs={job}") == ["COMPLETED"]
    pretend.configure(min_job_age=0)
    assert "Invalid job id specified" in site.refused("squeue", "--states=all", f"--jobs={job}")
    assert site.account("State", "-X", f"--jobs={job}") == [["COMPLETED"]]


def test_a_cancelled_job_is_completing_until_its_processes_are_gone(site: Site, pretend: FakeSlurm) -> None:
    pretend.configure(kill_wait=60)
    job = site.wrap("trap '' TERM; echo up; while :; do sleep 0.2; done")
    site.says("up")
    site.ask("scancel", job)
    assert site.queue("%T|%t", f"--jobs={job}") == ["COMPLETING|CG"] and site.state(job) == "COMPLETING"
    assert site.account("State", "-X", f"--jobs={job}")[0][0].startswith("CANCELLED by ")


def test_the_log_goes_where_its_pattern_says(site: Site) -> None:
    script = site.script("job.sh", "echo out; echo err >&2")
    job = site.submit("--job-name=n", "--output=%x-%j-%u-%N-%%.log", "--error=%4j.err", script)
    site.wait(job, "COMPLETED")
    user = site.queue("%u", "--states=all")[0]
    assert site.text(f"n-{job}-{user}-node1-%.log") == "out\n"
    assert site.text(f"{job:04}.err") == "err\n"


def test_a_log_is_begun_anew_or_continued(site: Site) -> None:
    for mode, count in (("append", 1), ("append", 2), ("truncate", 1)):
        site.wait(site.submit("--output=log", f"--open-mode={mode}", site.script("job.sh", "echo line")), "COMPLETED")
        assert site.text("log") == "line\n" * count


def test_the_environment_goes_along_as_asked(site: Site) -> None:
    given = Site(site.folder, {**site.env, "MINE": "yes", "OTHER": "no"})
    for export, line in (("ALL", "yes no"), ("NONE", ""), ("MINE,NEW=1", "yes 1"), ("ALL,OTHER=so", "yes so")):
        log = f"{export.partition(',')[0]}{len(export)}"
        job = given.submit(f"--export={export}", f"--output={log}", "--wrap=echo $MINE $OTHER $NEW")
        given.wait(job, "COMPLETED")
        assert site.text(log).strip() == line


def test_a_job_knows_its_size(site: Site) -> None:
    names = "NTASKS NTASKS_PER_NODE CPUS_PER_TASK JOB_NUM_NODES JOB_NODELIST TASKS_PER_NODE GPUS_ON_NODE JOB_PARTITION"
    line = "; ".join(f"echo {name} ${{SLURM_{name}-unset}}" for name in names.split())
    site.wait(site.wrap(line, "--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=3", "--partition=gpu",
                        "--gpus-per-node=2"), "COMPLETED")  # fmt: skip
    told = ["4", "2", "3", "2", "gpu[1-2]", "2(x2)", "2", "gpu"]
    assert site.text("out").splitlines() == [f"{name} {value}" for name, value in zip(names.split(), told, strict=True)]
    plain = site.submit("--output=plain", f"--wrap={line}")
    site.wait(plain, "COMPLETED")
    assert site.text("plain").splitlines()[:3] == ["NTASKS unset", "NTASKS_PER_NODE unset", "CPUS_PER_TASK unset"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--partition=short", "--time=10"), "Requested time limit is invalid (missing or exceeds some limit)"),
        (("--nodes=9",), "Node count specification invalid"),
        (("--cpus-per-task=100",), "Requested node configuration is not available"),
        (("--gpus-per-node=1",), "Requested node configuration is not available"),
        (("--account=nobody",), "Invalid account or account/partition combination specified"),
        (("--qos=gold",), "Invalid qos specification"),
    ],
)
def test_a_site_that_enforces_its_limits_refuses(
    site: Site, pretend: FakeSlurm, options: tuple[str, ...], words: str
) -> None:
    pretend.configure(accounts=["physics"])
    assert words in site.refused("sbatch", *options, site.script("job.sh", "true"))


def test_a_site_that_does_not_enforce_them_lets_the_job_wait_for_ever(site: Site, pretend: FakeSlurm) -> None:
    pretend.configure(enforce_limits=False)
    late, large = site.wrap("true", "--partition=short", "--time=10"), site.wrap("true", "--nodes=9")
    assert site.queue("%i %r") == [f"{large} PartitionConfig", f"{late} PartitionTimeLimit"]


def test_jobs_wait_for_room(site: Site) -> None:
    first = site.wrap("sleep 60", "--nodes=4", "--exclusive")
    site.wait(first, "RUNNING")
    second, third = site.wrap("echo done"), site.wrap("echo done")
    site.until(
        lambda: site.queue("%i %r", "--states=PENDING") == [f"{second} Resources", f"{third} Priority"], "reasons"
    )
    site.ask("scancel", first)
    site.wait(third, "COMPLETED")


def test_dialects_differ_where_the_versions_do(site: Site, pretend: FakeSlurm) -> None:
    def told(log: str) -> list[str]:
        job = site.submit("--cpus-per-task=2", f"--output=logs/{log}", "--wrap=srun env")
        site.until(lambda: site.state(job) in ("COMPLETED", "FAILED"), "the job")
        lines = site.text(f"logs/{log}").splitlines()
        return sorted(line for line in lines if line.startswith(("SLURM_CPUS_PER_TASK", "SLURM_JOB_END_TIME")))

    pretend.configure(dialect="20.11")
    assert told("nowhere") == []  # a folder that is not there, and no log
    assert site.show(1)["Reason"] == "JobLaunchFailure"
    assert site.ask("sbatch", "--version") == "slurm 20.11.0"
    assert "Reserved" in site.ask("sacct", "--format=Reserved")
    assert "unrecognized option '--only-job-state'" in site.refused("squeue", "--only-job-state")
    (site.folder / "logs").mkdir()
    assert told("20.11") == ["SLURM_CPUS_PER_TASK=2"]
    pretend.configure(dialect="22.05")
    assert told("22.05") == ["SLURM_CPUS_PER_TASK=1"]
    assert "Invalid field requested" in site.refused("sacct", "--format=Reserved")
    pretend.configure(dialect="26.05")
    assert told("26.05") == ["SLURM_CPUS_PER_TASK=2"]
    both = ("--partition=gpu", "--gres=gpu:1", "--gpus-per-node=1")
    assert "mutually exclusive" in site.refused("sbatch", *both, site.script("job.sh", "true"))


def test_the_mpi_types_are_those_of_the_site(site: Site, pretend: FakeSlurm) -> None:
    assert site.call("srun", "--mpi=list").stderr == "MPI plugin types are...\n\tnone\n\tpmi2\n"
    assert "Invalid MPI type 'pmix'" in site.refused("srun", "--mpi=pmix", "true")


def test_srun_starts_one_mpi_program(site: Site) -> None:
    program = [
        "import os",
        "from mpi4py import MPI",
        "world = MPI.COMM_WORLD",
        "os.write(1, f'{world.rank} {world.size} {os.environ[\"SLURM_PROCID\"]}\\n'.encode())",
    ]
    (site.folder / "program.py").write_text("\n".join(program))

    line = f"srun --mpi=pmi2 --kill-on-bad-exit=1 --cpus-per-task=1 {sys.executable} program.py"
    job = site.submit("--output=out", "--nodes=2", "--ntasks-per-node=2", site.script("job.sh", line))
    site.until(lambda: site.state(job) in ("COMPLETED", "FAILED"), "the job")
    assert sorted(site.text("out").splitlines()) == [f"{rank} 4 {rank}" for rank in range(4)]


def test_srun_feeds_its_first_task(site: Site) -> None:
    job = site.submit("--output=out", "--ntasks=2", site.script("job.sh", "echo fed | srun cat"))
    site.wait(job, "COMPLETED")
    assert site.text("out") == "fed\n"


def test_a_rank_that_fails_ends_the_others_where_asked(site: Site) -> None:
    line = "srun --ntasks=2 --kill-on-bad-exit=1 bash -c '((SLURM_PROCID)) && exit 5; sleep 60'"
    job = site.submit("--output=out", "--ntasks=2", site.script("job.sh", line))
    site.wait(job, "FAILED")
    assert "Exited with exit code 5" in site.text("out")


def test_json_is_not_pretended(site: Site) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(site.call("squeue", "--json").stdout)
