"""Why a job waits, in words, and what helps: Slurm's reason codes, and its states."""

# Reason code of squeue -> (what it means, what to do).
PENDING = {
    "None": ("Slurm has not looked at it yet", "wait a moment"),
    "Priority": ("other jobs come first", "wait; a shorter --time often starts sooner"),
    "Resources": ("it is next, and waits for free nodes", "wait; fewer nodes or a shorter --time start sooner"),
    "Dependency": ("it waits for the jobs named in --dependency", "wait for them"),
    "DependencyNeverSatisfied": ("what it depends on ended otherwise", "cancel it and submit anew"),
    "BeginTime": ("it was asked to begin later, or was requeued a moment ago", "wait (two minutes after a requeue)"),
    "JobHeldUser": ("you hold it", "let it go: scontrol release {job}"),
    "JobHeldAdmin": ("an administrator holds it", "ask your site's support"),
    "JobHoldMaxRequeue": ("it was requeued too often and is held", "look at its log, then: scontrol release {job}"),
    "job_requeued_in_held_state": ("it was requeued and is held", "look at its log, then: scontrol release {job}"),
    "launch_failed_requeued_held": (
        "a node could not start it; it is held so that it does not fail again",
        "let it go, elsewhere if need be: scontrol release {job}",
    ),
    "PartitionTimeLimit": ("its --time is over the partition's limit", "ask for less --time, or another --partition"),
    "PartitionNodeLimit": ("it wants more nodes than the partition gives", "ask for fewer --nodes"),
    "PartitionDown": ("its partition is down", "wait, or choose another --partition"),
    "PartitionInactive": ("its partition starts no jobs now", "wait, or choose another --partition"),
    "PartitionConfig": ("its partition does not allow such a job", "choose another --partition"),
    "AccountNotAllowed": ("the partition does not take this account", "choose another --account or --partition"),
    "QOSNotAllowed": ("the partition does not take this quality of service", "choose another --qos"),
    "InvalidAccount": ("the account is not valid", "choose another --account: sacctmgr show assoc user=$USER"),
    "InvalidQOS": ("the quality of service is not valid", "choose another --qos"),
    "Reservation": ("it waits for its reservation to begin", "wait"),
    "ReservationDeleted": ("its reservation is gone", "submit it without --reservation"),
    "ReqNodeNotAvail": ("nodes it needs are down, drained or reserved for maintenance", "wait, or ask for other nodes"),
    "NodeDown": ("a node it needs is down", "wait, or ask for other nodes"),
    "BadConstraints": ("no node has what it asks for", "mend --constraint, --mem, --gpus-per-node or --cpus-per-task"),
    "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions": (
        "the nodes it could run on are down or kept for others",
        "wait, or choose another --partition",
    ),
    "Licenses": ("it waits for a licence", "wait"),
    "Cleaning": ("its last attempt is being cleaned up", "wait a moment"),
    "Prolog": ("the node is being prepared", "wait a moment"),
    "WaitingForScheduling": ("Slurm has not looked at it yet", "wait a moment"),
    "JobArrayTaskLimit": ("as many tasks of its array run as --at-once allows", "wait"),
    "QOSMaxJobsPerUserLimit": ("you run as many jobs as the quality of service allows", "wait for your others"),
    "QOSMaxSubmitJobPerUserLimit": ("you have as many jobs queued as the quality of service allows", "wait for them"),
    "QOSMaxCpuPerUserLimit": ("you use as many cores as the quality of service allows", "wait for your other jobs"),
    "QOSMaxNodePerUserLimit": ("you use as many nodes as the quality of service allows", "wait for your other jobs"),
    "QOSMaxGRESPerUser": ("you use as many GPUs as the quality of service allows", "wait for your other jobs"),
    "QOSMaxWallDurationPerJobLimit": ("its --time is more than the quality of service allows", "ask for less --time"),
    "QOSMaxCpuPerJobLimit": ("it asks for more cores than the quality of service allows", "ask for fewer ranks"),
    "QOSMaxNodePerJobLimit": ("it asks for more nodes than the quality of service allows", "ask for fewer --nodes"),
    "QOSMaxMemoryPerJob": ("it asks for more memory than the quality of service allows", "ask for less --mem"),
    "QOSGrpCpuLimit": ("all jobs of the quality of service use as many cores as it has", "wait"),
    "QOSGrpNodeLimit": ("all jobs of the quality of service use as many nodes as it has", "wait"),
    "QOSGrpGRES": ("all jobs of the quality of service use as many GPUs as it has", "wait"),
    "QOSMinCpuNotSatisfied": ("it asks for fewer cores than the quality of service wants", "ask for more"),
    "QOSMinGRES": ("it asks for fewer GPUs than the quality of service wants", "ask for more, or another --qos"),
    "QOSUsageThreshold": ("your share is used up for now", "wait, or choose another --qos"),
    "AssocGrpCpuLimit": ("your account uses as many cores as it may", "wait for your group's jobs"),
    "AssocGrpNodeLimit": ("your account uses as many nodes as it may", "wait for your group's jobs"),
    "AssocGrpGRES": ("your account uses as many GPUs as it may", "wait for your group's jobs"),
    "AssocGrpMemLimit": ("your account uses as much memory as it may", "wait for your group's jobs"),
    "AssocGrpCPUMinutesLimit": ("your account's core hours are used up", "ask for more, or use another --account"),
    "AssocGrpBillingMinutes": ("your account's budget is used up", "ask for more, or use another --account"),
    "AssocGrpCPURunMinutesLimit": ("your account's running jobs have all the core hours it may", "ask for less --time"),
    "AssocMaxJobsLimit": ("your account has as many jobs running as it may", "wait for your group's jobs"),
    "AssocMaxCpuPerJobLimit": ("it asks for more cores than your account may", "ask for fewer ranks"),
    "AssocMaxWallDurationPerJobLimit": ("its --time is more than your account may ask for", "ask for less --time"),
    "MaxMemPerLimit": ("it wants more memory per core than the site allows", "ask for less --mem, or for more cores"),
    "AssociationJobLimit": ("your account has as many jobs as it may", "wait for your group's jobs"),
    "NonZeroExitCode": ("the job ended with an exit code other than 0", "look at its log"),
    "TimeLimit": ("it reached its time limit", "ask for more --time"),
    "OutOfMemory": ("it used more memory than it asked for", "ask for more --mem"),
    "NodeFail": ("a node failed", "send it again"),
}  # fmt: skip

# Base state -> what it means.
STATES = {
    "PENDING": "it waits in the queue",
    "RUNNING": "it runs",
    "SUSPENDED": "Slurm has paused it in favour of another job; it goes on by itself",
    "COMPLETED": "Slurm saw it end with exit code 0",
    "CANCELLED": "it was cancelled",
    "FAILED": "it ended with an exit code other than 0",
    "TIMEOUT": "it reached its time limit before it had saved and stopped",
    "NODE_FAIL": "a node that it ran on failed",
    "PREEMPTED": "it had to make room for a job of higher priority",
    "BOOT_FAIL": "a node could not be booted for it",
    "DEADLINE": "it could not end before its deadline",
    "OUT_OF_MEMORY": "it used more memory than it asked for",
}


def pending(reason: str, job: str) -> tuple[str, str]:
    """What a reason of squeue's means and what helps; one that nobody here knows stands as it is."""
    bare = reason[1:-1] if reason.startswith("(") and reason.endswith(")") else reason
    key = next((name for name in (bare, bare.partition(",")[0], bare.partition(" ")[0]) if name in PENDING), None)
    if key is None:
        return bare or "Slurm gives no reason", ""
    meaning, advice = PENDING[key]
    return f"{meaning} ({bare})", advice.format(job=job)


def state(word: str) -> str:
    """What a base state means; an unknown one as it is."""
    return STATES.get(word, word)
