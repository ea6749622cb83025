"""A command inside the root of an image, as an engine runs it: in namespaces of its own, nothing of ours in sight."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker.machine import LENT, Registry

# The shell that prepares the root and becomes the command. After pivot_root the old root lies over the new one at /.
ENTER = f"""
set -eu
root=$1 owner=$2 work=$3 lent=$4
shift 4
hostname container
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
if [ "$lent" -gt 0 ]; then mount -t tmpfs tmpfs "$root{LENT}"; fi
number=0
while [ "$number" -lt "$lent" ]; do
  if [ -d "$1" ]; then mkdir "$root{LENT}/$number"; else touch "$root{LENT}/$number"; fi
  mount --bind -o ro "$1" "$root{LENT}/$number"
  number=$((number + 1))
  shift
done
cd "$root"
pivot_root . .
umount -l .
cd /
exec setpriv --reuid="${{owner%:*}}" --regid="${{owner#*:}}" --clear-groups env -i --chdir="$work" "$@"
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")


@dataclass(frozen=True)
class Root:
    """A file system with what the image says of how commands run in it."""

    path: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    work: str = "/"
    user: str = "root"
    entry: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def owner(self) -> tuple[str, str]:
        """`uid:gid` and home of the user; one that the image does not know, given as a number, has none."""
        for line in (self.path / "etc" / "passwd").read_text().splitlines():
            name, _, uid, gid, _, home, _ = line.split(":")
            if self.user in (name, uid):
                return f"{uid}:{gid}", home
        assert self.user.isdecimal(), f"no user {self.user!r} in {self.path}"
        return f"{self.user}:{self.user}", "/"

    def argv(
        self, command: Sequence[str], env: Mapping[str, str], lent: Sequence[Path] = (), alone: bool = False
    ) -> list[str]:
        """What runs a command in here; `alone` keeps it from the machine's network."""
        owner, home = self.owner()
        variables = [f"{key}={value}" for key, value in ({"HOME": home} | self.env | dict(env)).items()]
        namespaces = (*NAMESPACES, "--net") if alone else NAMESPACES
        enter = ["sh", "-c", ENTER, "enter", str(self.path), owner, self.work, str(len(lent)), *map(str, lent)]
        return ["unshare", *namespaces, *enter, *variables, *command]

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, registry: Registry | None = None, code: int = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in here to its end and check its exit code; with a registry, pip finds packages."""
        found = registry or Registry({}, ())
        argv = self.argv(command, found.env | dict(env or {}), found.lent)
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
        return ended

    @contextlib.contextmanager
    def started(self) -> Iterator[list[str]]:
        """The image's own command in a container with a network of its own, while the block lasts; yields the
        beginning of an argv that runs one more command in it."""
        engine = ("sh", "-c", 'ip link set lo up && exec "$@"', "engine")  # a new network has not even itself
        argv = self.argv((*engine, *self.entry, *self.command), {}, alone=True)
        variables = [f"{key}={value}" for key, value in self.env.items()]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, text=True) as process:
            try:
                inside = ["nsenter", "--mount", "--pid", "--ipc", "--uts", "--net", f"--target={_child(process.pid)}"]
                yield [*inside, "env", "-i", f"--chdir={self.work}", *variables]
            finally:
                process.kill()  # --kill-child: everything in there ends with it


def _child(pid: int) -> str:
    from command import wait_until

    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: children.read_text().strip(), "the container to start")
    return children.read_text().split()[0]
