"""What Slurm's job states mean for somebody who waits: is it over, does it wait, may it come again."""

# The twelve base states of Slurm; every other word is a flag that squeue shows in their place.
BASE = (
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
)
ENDED = frozenset({*BASE[3:], "REVOKED", "LAUNCH_FAILED"})
WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "RECONFIG_FAIL"}
)
# Accounting shows these for the time before a requeue as well: without the controller's word they are no end.
RETURNING = frozenset({"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REQUEUED"})


def base(state: str) -> str:
    """The bare state: of "CANCELLED by 1000" and "CANCELLED+" CANCELLED; an unknown one stays as it is."""
    word = state.strip().partition(" ")[0]
    return word.rstrip("+").upper()


def ended(state: str) -> bool:
    """Whether a job in this state is over; one that we do not know is not."""
    return base(state) in ENDED


def waiting(state: str) -> bool:
    """Whether a job in this state is (again) in the queue."""
    return base(state) in WAITING


def words(state: str) -> str:
    """A state as people say it: `node fail`, `stage out`."""
    return base(state).lower().replace("_", " ")
