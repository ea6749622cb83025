"""`srun`: run a command as a step of a job, on every task it has; outside a job, get nodes for it first."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from hpcjobs.testing.fake import processes, wake
from hpcjobs.testing.fake.machine import dialect
from hpcjobs.testing.fake.options import FLAG, MAYBE, VALUE, Options, fail, say
from hpcjobs.testing.fake.store import SETTLED, Store
from hpcjobs.testing.fake.units import node_list, node_names

VALUES = """mpi cpus-per-task ntasks nodes ntasks-per-node cpu-bind gpu-bind wait export nodelist exclude input output
error job-name partition time account qos mem mem-per-cpu gpus-per-node gres gpus-per-task gpus chdir distribution
constraint container-image container-mounts container-name container-workdir container-env jobid relative slurmd-debug
comment dependency begin signal mem-bind open-mode epilog prolog task-prolog task-epilog threads-per-core hint
gpu-freq profile reservation time-min tres-per-task kill-on-invalid-dep""".split()
FLAGS = """unbuffered label overlap exact oversubscribe no-kill quiet verbose pty exclusive container-mount-home
no-container-mount-home container-writable container-remap-root no-container-remap-root external-launcher overcommit
preserve-env no-requeue requeue hold immediate multi-prog help version contiguous""".split()
KINDS = {**dict.fromkeys(VALUES, VALUE), **dict.fromkeys(FLAGS, FLAG), "kill-on-bad-exit": MAYBE}
SHORT = {
    "c": "cpus-per-task", "n": "ntasks", "N": "nodes", "K": "kill-on-bad-exit", "l": "label", "u": "unbuffered",
    "W": "wait", "w": "nodelist", "x": "exclude", "i": "input", "o": "output", "e": "error", "J": "job-name",
    "p": "partition", "t": "time", "A": "account", "q": "qos", "D": "chdir", "m": "distribution", "s": "oversubscribe",
    "k": "no-kill", "Q": "quiet", "v": "verbose", "O": "overcommit", "V": "version", "r": "relative", "h": "help",
    "C": "constraint", "G": "gpus",
}  # fmt: skip
OPTIONS = Options("srun", KINDS, SHORT)
FORWARDED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STRIPPED = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "MPIR_")


def main(argv: list[str], store: Store) -> int:
    """Run a step; returns the highest exit code of its tasks."""
    given, command = OPTIONS.parse(argv, mixed=False)
    config = store.config()
    kind = given.get("mpi", os.environ.get("SLURM_MPI_TYPE", "none"))
    if kind == "list":
        say("MPI plugin types are...", *(f"\t{name}" for name in config["mpi_types"]))
        return 0
    if not command:
        fail(1, "srun: fatal: No command given to execute.")
    if kind not in config["mpi_types"]:
        fail(
            1,
            f"srun: error: Couldn't find the specified plugin name for mpi/{kind} looking at all files",
            f"srun: error: cannot find mpi plugin for mpi/{kind}",
            f"srun: error: MPI: Cannot create context for mpi/{kind}",
            "srun: error: MPI: Unable to load any plugin",
            f"srun: error: Invalid MPI type '{kind}', --mpi=list for acceptable types",
        )
    environment = dict(os.environ)
    allocation = None
    if "SLURM_JOB_ID" not in environment or not store.named(int(environment["SLURM_JOB_ID"])):
        from hpcjobs.testing.fake.allocation import allocate

        allocation, environment = allocate(given, command, store)
    step = Step(given, kind, command, environment, store)
    code = step.run()
    if allocation is not None:
        with store.change():
            job = store.named(allocation)[0]
            job["requests"].append({"what": "finish", "status": code << 8})
            store.save(job)
    return code


class Step:
    """One step of a job, from its first process to its last."""

    def __init__(
        self, given: dict[str, str], kind: str, command: list[str], environment: dict[str, str], store: Store
    ) -> None:
        self.given = given
        self.kind = kind
        self.command = command
        self.environment = environment
        self.store = store
        self.job_id = int(environment["SLURM_JOB_ID"])
        self.tasks = self.task_count()
        self.children: list[subprocess.Popen[bytes]] = []
        self.terminated = False
        self.number = 0

    def task_count(self) -> int:
        """How many tasks: as asked for, else those of the job."""
        if "ntasks" in self.given:
            return int(self.given["ntasks"])
        nodes = int(self.given.get("nodes", self.environment["SLURM_JOB_NUM_NODES"]).split("-")[0])
        if "ntasks-per-node" in self.given:
            return nodes * int(self.given["ntasks-per-node"])
        return nodes if "nodes" in self.given else int(self.environment.get("SLURM_NTASKS", nodes))

    def run(self) -> int:
        """Start the tasks, pass signals on to them, wait, and keep the account."""
        for number in FORWARDED:
            signal.signal(number, self.forward)
        self.open()
        try:
            self.start()
            code = self.wait()
        except OSError as problem:
            name = self.command[0]
            say(
                f"slurmstepd: error: execve(): {name}: {problem.strerror}",
                f"srun: error: {self.node()}: task 0: Exited with exit code 2",
            )
            code = 2
        self.close(code)
        return code

    def node(self) -> str:
        return self.environment.get("SLURMD_NODENAME", "node1")

    def open(self) -> None:
        """Enter the step into the job's account."""
        with self.store.change():
            job = self.job()
            if job["state"] in SETTLED:
                fail(
                    1,
                    f"srun: error: Unable to create step for job {self.job_id}: Job/step already completed",
                )
            self.number = len(job["steps"])
            job["shell_rss"] = max(job["shell_rss"], processes.peak_memory(os.getppid()))
            record = {
                "name": str(self.number), "command": Path(self.command[0]).name, "pid": os.getpid(), "state": "RUNNING",
                "start": time.time(), "end": None, "tasks": self.tasks, "exit_code": 0, "exit_signal": 0, "usage": {},
            }  # fmt: skip
            job["steps"].append(record)
            self.store.save(job)

    def job(self) -> dict[str, Any]:
        return next(job for job in self.store.named(self.job_id) if job["id"] == self.job_id and job["nodes"])

    def variables(self) -> dict[str, str]:
        """What the tasks find in their environment beside what the job has."""
        shares = self.shares()
        names = node_names(self.environment["SLURM_JOB_NODELIST"])[: len(shares)]
        places = [[node, local] for node, share in enumerate(shares) for local in range(share)]
        found = {
            "SLURM_STEP_ID": str(self.number), "SLURM_STEPID": str(self.number),
            "SLURM_STEP_NUM_TASKS": str(self.tasks),
            "SLURM_NTASKS": str(self.tasks), "SLURM_NPROCS": str(self.tasks), "SLURM_STEP_NUM_NODES": str(len(shares)),
            "SLURM_STEP_NODELIST": node_list(names), "SLURM_MPI_TYPE": self.kind, "SLURM_SRUN_COMM_HOST": "127.0.0.1",
            "SLURM_STEP_TASKS_PER_NODE": ",".join(str(share) for share in shares),
            "HPCJOBS_FAKE_PLACES": json.dumps([names, places]),
        }  # fmt: skip
        config = self.store.config()
        cpus = self.given.get("cpus-per-task") or os.environ.get("SRUN_CPUS_PER_TASK")
        if cpus:
            found["SLURM_CPUS_PER_TASK"] = cpus
        elif (22, 5) <= dialect(config) < (23, 11):
            found["SLURM_CPUS_PER_TASK"] = "1"  # these versions forget what the job asked for
        return found

    def shares(self) -> list[int]:
        """Tasks on each node, as the job has them or evenly."""
        counts: list[int] = []
        for part in self.environment.get("SLURM_TASKS_PER_NODE", "1").split(","):
            count, _, times = part.rstrip(")").partition("(x")
            counts += [int(count)] * int(times or 1)
        if sum(counts) == self.tasks and "nodes" not in self.given:
            return counts
        nodes = int(self.given.get("nodes", min(len(counts), self.tasks)).__str__().split("-")[0])
        return [self.tasks // nodes + (index < self.tasks % nodes) for index in range(nodes)]

    def start(self) -> None:
        """Start the tasks: as one MPI program by MPICH's own starter, or each by itself."""
        variables = self.variables()
        clean = {name: value for name, value in self.environment.items() if not name.startswith(STRIPPED)}
        environment = self.exported(clean) | variables
        rank = [*wake.program("rank"), *self.command]
        if self.kind == "none":
            for index in range(self.tasks):
                self.spawn(rank, {**environment, "PMI_RANK": str(index)})
            return
        starter = Path(sys.executable).with_name("mpiexec")
        if not starter.exists():
            fail(
                1, f"srun: error: the pretend srun needs MPICH's mpiexec beside {sys.executable} for --mpi={self.kind}"
            )
        # Without these two it would ask the job for its nodes, and start itself on them by srun.
        self.spawn([str(starter), "-launcher", "fork", "-rmk", "user", "-n", str(self.tasks), *rank], environment)

    def exported(self, environment: dict[str, str]) -> dict[str, str]:
        """What --export lets through."""
        words = self.given.get("export", environment.get("SLURM_EXPORT_ENV", "ALL")).split(",")
        kept = environment
        if "ALL" not in words:
            names = {"PATH", "HOME", *words}
            kept = {
                name: text
                for name, text in environment.items()
                if name in names or name.startswith(("SLURM", "HPCJOBS_FAKE"))
            }
        return kept | dict(word.split("=", 1) for word in words if "=" in word)

    def spawn(self, argv: list[str], environment: dict[str, str]) -> None:
        """Start a child apart from the batch script: what asks that to end reaches the tasks through us alone."""
        label = "label" in self.given
        fed = (
            not self.children and self.given.get("input") != "none" and not sys.stdin.isatty()
        )  # as srun: task 0 alone
        out = subprocess.PIPE if label else self.stream("output")
        child = subprocess.Popen(
            argv,
            env=environment,
            cwd=self.given.get("chdir"),
            stdin=None if fed else subprocess.DEVNULL,
            stdout=out,
            start_new_session=True,
        )
        self.children.append(child)
        if label and child.stdout is not None:
            number = len(self.children) - 1
            threading.Thread(target=self.relabel, args=(child.stdout, number), daemon=True).start()

    def stream(self, name: str) -> IO[bytes] | None:
        """The file that --output names."""
        if name not in self.given or self.given[name] == "none":
            return None
        path = self.given[name].replace("%j", str(self.job_id)).replace("%s", str(self.number)).replace("%t", "0")
        return Path(path).open("ab")

    def relabel(self, lines: IO[bytes], number: int) -> None:
        """Each line with the number of its task."""
        for line in lines:
            sys.stdout.buffer.write(f"{number}: ".encode() + line)
            sys.stdout.buffer.flush()

    def forward(self, number: int, _: object) -> None:
        """Pass a signal on to the tasks; to end them is asked once."""
        if number in (signal.SIGTERM, signal.SIGHUP):
            if self.terminated:
                return
            self.terminated = True
            say(
                "srun: forcing job termination",
                "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.",
            )
        processes.send([child.pid for child in self.children if child.returncode is None], number)

    def wait(self) -> int:
        """Wait for all tasks; with --kill-on-bad-exit the first bad end is the end of all."""
        codes: list[int] = []
        left = {child.pid: (index, child) for index, child in enumerate(self.children)}
        self.usage = {"rss": 0.0, "user": 0.0, "system": 0.0}
        while left:
            pid, status, usage = os.wait4(-1, 0)
            if pid not in left:
                continue
            index, child = left.pop(pid)
            child.returncode = status
            self.usage["rss"] = max(self.usage["rss"], usage.ru_maxrss)
            self.usage["user"] += usage.ru_utime
            self.usage["system"] += usage.ru_stime
            code = os.waitstatus_to_exitcode(status)
            codes.append(code)
            if code:
                how = f"Exited with exit code {code}" if code > 0 else signal.strsignal(-code)
                say(f"srun: error: {self.node()}: task {index}: {how}")
                if self.given.get("kill-on-bad-exit", "0") not in ("0",) and left:
                    processes.send([pid for pid, _ in left.items()], signal.SIGKILL)
        return max((code if code >= 0 else 128 - code for code in codes), default=0)

    def close(self, code: int) -> None:
        """Enter the end of the step into the account."""
        with self.store.change(), contextlib.suppress(StopIteration):
            job = self.job()
            record = job["steps"][self.number]
            killer = code - 128 if 128 < code < 160 and not (record["exit_signal"]) else 0
            state = "COMPLETED" if code == 0 else "CANCELLED" if self.terminated else "FAILED"
            if record["state"] == "RUNNING":
                record |= {"state": state, "end": time.time()}
                record |= {"exit_code": 0 if killer else code, "exit_signal": killer}
            record["usage"] = {**self.usage, "rss": max(self.usage["rss"], record["usage"].get("rss", 0))}
            self.store.save(job)
