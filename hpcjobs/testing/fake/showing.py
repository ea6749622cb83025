"""What `scontrol show` says of a job, a partition, a node and the configuration, a field list a line."""

import os
import time
from collections.abc import Mapping
from typing import Any

from hpcjobs.testing.fake import shown
from hpcjobs.testing.fake.machine import dialect, used
from hpcjobs.testing.fake.scheduling import holds
from hpcjobs.testing.fake.starting import log_path
from hpcjobs.testing.fake.store import Job, Store
from hpcjobs.testing.fake.units import clock, day, limit, memory, node_list


def described(tasks: list[Job], store: Store, config: Mapping[str, Any]) -> list[str]:
    """The lines of `show job`, for one job or for the tasks of an array that wait together."""
    job = tasks[0]
    array = []
    if job["task"] is not None:
        throttle = [f"ArrayTaskThrottle={job['throttle']}"] if job["throttle"] else []
        array = [f"ArrayJobId={job['array_id']}", f"ArrayTaskId={shown.indices(tasks)}", *throttle]
    state = shown.state(job, store.scenario())
    nodes = shown.nodes(job)
    mib = (
        sum(job["memory_on"])
        or job["mem_per_node"]
        or (job["mem_per_cpu"] or config["memory_per_cpu"]) * shown.cpu_count(job)
    )
    gpus = f",gres/gpu={job['gpus_per_node'] * shown.node_count(job)}" if job["gpus_per_node"] else ""
    cpus = shown.cpu_count(job)
    least = f"MinMemoryNode={memory(job['mem_per_node'])}" if job["mem_per_node"] is not None else (
        f"MinMemoryCPU={memory(job['mem_per_cpu'] or config['memory_per_cpu'])}")  # fmt: skip
    preempt = f"PreemptEligibleTime={day(job['start'])} PreemptTime={day(job['preempt_time'], 'None')}"
    return [
        " ".join([f"JobId={job['id']}", *array, f"JobName={job['name']}"]),
        f"UserId={job['user']}({job['uid']}) GroupId={job['user']}({os.getgid()}) MCS_label=N/A",
        f"Priority={shown.priority(job)} Nice=0 Account={job['account'] or '(null)'} QOS={job['qos']}",
        f"JobState={state} Reason={job['reason']} Dependency={job['dependency'] or '(null)'}",
        f"Requeue={int(job['requeue'])} Restarts={job['restarts']} BatchFlag={int(not job['interactive'])} Reboot=0 "
        f"ExitCode={shown.exit_code(job)}",
        f"RunTime={clock(shown.ran(job))} TimeLimit={limit(job['limit'])} TimeMin=N/A",
        f"SubmitTime={day(job['submit'])} EligibleTime={day(job['eligible'])}",
        f"AccrueTime={day(job['eligible'])}",
        f"StartTime={day(shown.starts(job))} EndTime={day(shown.ends(job))} Deadline=N/A",
        *([preempt] if job["start"] and config["partitions"][job["partition"]]["preempt"] else []),
        f"SuspendTime=None SecsPreSuspend=0 LastSchedEval={day(time.time())} Scheduler=Main",
        f"Partition={job['partition']} AllocNode:Sid={os.uname().nodename}:1",
        f"ReqNodeList={job['nodelist'] or '(null)'} ExcNodeList={job['exclude'] or '(null)'}",
        f"NodeList={nodes}",
        *([f"BatchHost={job['nodes'][0]}"] if nodes else []),
        f"NumNodes={shown.node_count(job)} NumCPUs={cpus} NumTasks={job['ntasks']} CPUs/Task={job['cpus_per_task']} "
        "ReqB:S:C:T=0:0:*:*",
        f"TRES=cpu={cpus},mem={memory(mib)},node={shown.node_count(job)},billing={cpus}{gpus}",
        f"MinCPUsNode={job['cpus_per_task']} {least} MinTmpDiskNode=0",
        f"Features={job['constraint'] or '(null)'} DelayBoot=00:00:00",
        f"OverSubscribe={'NO' if job['exclusive'] else 'OK'} Contiguous=0 Licenses=(null) Network=(null)",
        f"Command={job['command']}",
        f"WorkDir={job['workdir']}",
        *([f"Comment={job['comment']}"] if job["comment"] else []),
        f"StdErr={log_path(job, 'error')}",
        "StdIn=/dev/null",
        f"StdOut={log_path(job, 'output')}",
    ]


def partition(name: str, config: Mapping[str, Any]) -> list[str]:
    """The lines of `show partition`."""
    found = config["partitions"][name]
    nodes = [config["nodes"][one] for one in found["nodes"]]
    cpus, mib = sum(one["cpus"] for one in nodes), sum(one["memory"] for one in nodes)
    default = "NONE" if found["default_time"] is None else limit(found["default_time"])
    most = "UNLIMITED" if found["max_nodes"] is None else found["max_nodes"]
    mode = {"": "OFF", "requeue": "REQUEUE", "cancel": "CANCEL"}[found["preempt"]]
    grace = config["grace"] if found["preempt"] else 0
    return [
        f"PartitionName={name}",
        "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL",
        f"AllocNodes=ALL Default={'YES' if found.get('default') else 'NO'} QoS=N/A",
        f"DefaultTime={default} DisableRootJobs=NO ExclusiveUser=NO GraceTime={grace} Hidden=NO",
        f"MaxNodes={most} MaxTime={limit(found['max_time'])} MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED",
        f"Nodes={node_list(found['nodes'])}",
        f"PriorityJobFactor=1 PriorityTier={found['tier']} RootOnly=NO ReqResv=NO OverSubscribe=NO",
        f"OverTimeLimit=NONE PreemptMode={mode}",
        f"State={found['state']} TotalCPUs={cpus} TotalNodes={len(nodes)} SelectTypeParameters=NONE",
        "JobDefaults=(null)",
        f"DefMemPerCPU={config['memory_per_cpu']} MaxMemPerNode=UNLIMITED",
        f"TRES=cpu={cpus},mem={memory(mib)},node={len(nodes)},billing={cpus}",
    ]


def node(name: str, config: Mapping[str, Any], store: Store) -> list[str]:
    """The lines of `show node`."""
    found = config["nodes"][name]
    taken = used(job for job in store.live() if holds(job)).get(name, [0, 0, 0])
    state = "DOWN" if name in config.get("down", []) else "IDLE"
    if state == "IDLE" and taken[0]:
        state = "ALLOCATED" if taken[0] >= found["cpus"] else "MIXED"
    features = ",".join(found["features"])
    inside = ",".join(one for one, part in config["partitions"].items() if name in part["nodes"])
    gres = f"gpu:{found['gpu_type']}:{found['gpus']}" if found["gpus"] else "(null)"
    return [
        f"NodeName={name} Arch=x86_64 CoresPerSocket={found['cpus']}",
        f"CPUAlloc={int(taken[0])} CPUEfctv={found['cpus']} CPUTot={found['cpus']} CPULoad=0.00",
        f"AvailableFeatures={features}",
        f"ActiveFeatures={features}",
        f"Gres={gres}",
        f"NodeAddr={name} NodeHostName={name} Version={config['dialect']}.0",
        f"RealMemory={found['memory']} AllocMem={int(taken[1])} FreeMem={found['memory']} Sockets=1 Boards=1",
        f"State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A",
        f"Partitions={inside}",
    ]


def configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `show config` tells that anyone asks for."""
    year, month = dialect(config)
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageEnforce": "associations,limits" if config["enforce_limits"] else "none",
        "ClusterName": config["cluster"], "DefMemPerCPU": config["memory_per_cpu"],
        "EnforcePartLimits": "ALL" if config["enforce_limits"] else "NO", "JobRequeue": 1,
        "KillWait": f"{config['kill_wait']:g} sec", "MaxArraySize": config["max_array_size"],
        "MinJobAge": f"{config['min_job_age']:g} sec", "MpiDefault": "none", "PreemptMode": "REQUEUE",
        "PreemptType": "preempt/partition_prio", "SLURM_VERSION": f"{year:02}.{month:02}.0",
    }  # fmt: skip
