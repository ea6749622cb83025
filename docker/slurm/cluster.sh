#!/usr/bin/env bash
# cluster.sh - a real multi-node Slurm on ONE machine, for tests.
#
# Every emulated node gets its own network, hostname, PID, IPC and mount
# namespace (own IP address, own /dev/shm, own /proc, own /etc/hosts), so Slurm
# and the MPI libraries see separate hosts; the file system is otherwise shared.
# No systemd, no cgroups, no containers. Needs root, Linux, and the packages that
# `cluster.sh install` installs on Debian/Ubuntu.
#
#   cluster.sh install        apt-get install what is needed
#   cluster.sh up             bring everything up (idempotent; repairs what died)
#   cluster.sh status         what runs; exit 0 only if every part is healthy
#   cluster.sh down           stop everything, forget all jobs; keeps logs and accounting
#   cluster.sh clean          down, then delete $SC_DIR
#   cluster.sh env            print the export line for `eval "$(... env)"`
#   cluster.sh exec NODE CMD  run CMD inside a node's namespaces
#   cluster.sh crash NODE     the node loses power: all of its processes die at once
#   cluster.sh kill-slurmd NODE    only its slurmd dies; its job steps live on
#   cluster.sh kill-ctld           kill -9 slurmctld; jobs run on; `up` starts it again
#   cluster.sh restore NODE   boot the node (or only its slurmd) again
#
# Settings (environment; `up` records them, the other commands read the record):
#   SC_DIR    state, logs, config     (default ${TMPDIR:-/tmp}/slurm-cluster)
#   SC_NODES  number of nodes         (3)     SC_CPUS  CPUs per node, may oversubscribe (2)
#   SC_MEM    MiB per node            (an even share of 3/4 of the machine, capped at 4096)
#   SC_GPUS   pretended GPUs per node (0; count only, no device behind it)
#   SC_ACCT   none | filetxt | dbd    (filetxt; dbd = slurmdbd + private MariaDB: sacct works)
#   SC_JOB_AGE  seconds after which the controller forgets a job that has ended (3600)
#   SC_USER   an ordinary user who may submit, made where missing, `clean` removes it again (none)
#   SC_NET    first three octets of the private /24   (10.201.37)
#   SC_PORT   base port               (16817: ctld, +1 slurmd, +2 slurmdbd, +3 MariaDB)
#   SC_EXTRA  a file appended to slurm.conf
# Kept at Slurm's defaults on purpose: MpiDefault=none and KillOnBadExit=0, so job
# scripts must say `srun --mpi=... --kill-on-bad-exit=1` themselves, as on real sites.
set -euo pipefail

SELF=$(readlink -f "${BASH_SOURCE[0]}")
SC_DIR=${SC_DIR:-${TMPDIR:-/tmp}/slurm-cluster}
case $SC_DIR in /*) ;; *) SC_DIR=$PWD/$SC_DIR ;; esac
case $SC_DIR in *[[:space:]]*) echo "cluster: SC_DIR must not contain spaces" >&2; exit 2 ;; esac
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

say() { printf 'cluster: %s\n' "$*" >&2; }
die() { say "ERROR: $*"; exit 1; }

VARS="SC_NODES SC_CPUS SC_MEM SC_GPUS SC_ACCT SC_JOB_AGE SC_USER SC_NET SC_PORT SC_EXTRA"
settings() {  # up: environment, then record, then default; other commands: record first
  local total v given=""
  if [ "${1:-}" != recorded ]; then for v in $VARS; do [ -z "${!v:-}" ] || given+="$v=$(printf %q "${!v}");"; done; fi
  if [ -f "$SC_DIR/settings" ]; then . "$SC_DIR/settings"; fi
  eval "$given"
  SC_NODES=${SC_NODES:-3}; SC_CPUS=${SC_CPUS:-2}; SC_GPUS=${SC_GPUS:-0}
  SC_ACCT=${SC_ACCT:-filetxt}; SC_NET=${SC_NET:-10.201.37}; SC_PORT=${SC_PORT:-16817}
  SC_EXTRA=${SC_EXTRA:-} SC_USER=${SC_USER:-} SC_JOB_AGE=${SC_JOB_AGE:-3600}
  total=$(awk '/^MemTotal/{print int($2/1024*3/4)}' /proc/meminfo)
  SC_MEM=${SC_MEM:-$(( total/SC_NODES < 4096 ? total/SC_NODES : 4096 ))}
  BR=sc$(printf %s "$SC_DIR" | cksum | awk '{printf "%06x", $1 % 16777216}')   # bridge; veths are ${BR}n1...
  CTL_IP=$SC_NET.254
  export SLURM_CONF=$SC_DIR/etc/slurm.conf
}
dump_settings() {
  local v; for v in $VARS; do printf '%s=%q\n' "$v" "${!v}"; done
}
nodes() { local i; for ((i=1; i<=SC_NODES; i++)); do echo "node$i"; done; }
node_ip() { echo "$SC_NET.${1#node}"; }
is_node() { nodes | grep -x -- "${1:-}" >/dev/null || die "no such node: '${1:-}' (have: $(nodes | xargs))"; }

# --- processes: remembered as "pid starttime", so a recycled pid is never signalled ---
proc_stat() { # pid -> "state starttime" (empty if gone)
  local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  s=${s##*) }; set -- $s; echo "$1 ${20}"
}
remember() { local st; st=$(proc_stat "$2"); echo "$2 ${st#* }" > "$SC_DIR/run/$1"; }
alive() { # name
  local pid start st; [ -f "$SC_DIR/run/$1" ] || return 1
  read -r pid start < "$SC_DIR/run/$1" || return 1
  st=$(proc_stat "$pid"); [ -n "$st" ] && [ "${st% *}" != Z ] && [ "${st#* }" = "$start" ]
}
pid_of() { cut -d' ' -f1 "$SC_DIR/run/$1"; }
stop() { # name [signal] [seconds]
  local i sig=${2:-TERM} wait=${3:-10}
  if alive "$1"; then
    kill -"$sig" "$(pid_of "$1")" 2>/dev/null || true
    for ((i=0; i<wait*10; i++)); do alive "$1" || break; sleep 0.1; done
    if alive "$1"; then say "$1 ignored SIG$sig, killing it"; kill -KILL "$(pid_of "$1")" || true; sleep 0.3; fi
  fi
  rm -f "$SC_DIR/run/$1"
}
spawn() { # name command...   (detached, logs to log/<name>.out)
  local name=$1; shift
  setsid "$@" >>"$SC_DIR/log/$name.out" 2>&1 </dev/null 9>&- &
  remember "$name" $!
}
wait_for() { # seconds what command...
  local end=$(( SECONDS + $1 )) what=$2; shift 2
  while :; do "$@" >/dev/null 2>&1 && return 0; (( SECONDS < end )) || break; sleep 0.2; done
  say "timed out waiting for: $what"; return 1
}
tails() { local f; for f in "$@"; do [ -s "$f" ] && { say "--- last lines of $f"; tail -n 15 "$f" >&2; }; done; true; }

# --- configuration ---
write_config() {
  mkdir -p "$SC_DIR"/{etc,run,log,state,munge,spool,tmp,acct}
  chmod 755 "$SC_DIR" "$SC_DIR"/{etc,munge,log,run}; chmod 700 "$SC_DIR/state"
  local n gres="" gpu_line="" i
  for n in $(nodes); do mkdir -p "$SC_DIR/spool/$n" "$SC_DIR/tmp/$n"; chmod 1777 "$SC_DIR/tmp/$n"; done
  if [ ! -f "$SC_DIR/munge/key" ]; then (umask 077; head -c 1024 /dev/urandom > "$SC_DIR/munge/key"); fi
  { echo "127.0.0.1 localhost"; echo "$CTL_IP $(uname -n | cut -d. -f1) slurmctl"
    for n in $(nodes); do echo "$(node_ip "$n") $n"; done; } > "$SC_DIR/etc/hosts"
  rm -f "$SC_DIR/etc/gres.conf"
  if [ "$SC_GPUS" -gt 0 ]; then
    gres="Gres=gpu:$SC_GPUS"; gpu_line="GresTypes=gpu"; [ "$SC_ACCT" = dbd ] && gpu_line+=$'\nAccountingStorageTRES=gres/gpu'
    mkdir -p "$SC_DIR/dev"; for ((i=0; i<SC_GPUS; i++)); do [ -e "$SC_DIR/dev/gpu$i" ] || mknod "$SC_DIR/dev/gpu$i" c 1 3; done
    # Flags=CountOnly is refused for gpu ("count reported lower than configured"): copies of /dev/null stand in
    for ((i=0; i<SC_GPUS; i++)); do echo "Name=gpu File=$SC_DIR/dev/gpu$i"; done > "$SC_DIR/etc/gres.conf"
  fi
  {
    cat <<CONF
# written by cluster.sh - edits are lost at the next 'up'
ClusterName=testcluster
SlurmctldHost=$(uname -n | cut -d. -f1)($CTL_IP)
SlurmctldPort=$SC_PORT
SlurmdPort=$((SC_PORT+1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire also sets how long a requeued job waits before it may start again (default 120 s, at least 5)
AuthInfo=socket=$SC_DIR/munge/socket,cred_expire=5
StateSaveLocation=$SC_DIR/state
SlurmdSpoolDir=$SC_DIR/spool/%n
SlurmctldPidFile=$SC_DIR/run/slurmctld.pidfile
SlurmdPidFile=$SC_DIR/run/slurmd-%n.pidfile
SlurmctldLogFile=$SC_DIR/log/slurmctld.log
SlurmdLogFile=$SC_DIR/log/slurmd-%n.log
# per node: Slurm's PMIx plugin makes <TmpFS>/spmix_appdir_<uid>_<step> and fails if two nodes share it
TmpFS=$SC_DIR/tmp/%n
# no cgroups, no CPU binding
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=$(( SC_MEM / SC_CPUS ))
# take the configured CPUs and memory even where the machine has less
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
# quick reactions and small limits, for tests
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_min_interval=100000,batch_sched_delay=0,preempt_send_user_signal
SlurmdTimeout=10
SlurmctldTimeout=30
KillWait=5
MinJobAge=$SC_JOB_AGE
MaxArraySize=10
# preemption: jobs in 'scavenge' are requeued when 'main' wants their nodes, those in 'grace' get their --signal first
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
$gpu_line
CONF
    case $SC_ACCT in
      none)    echo "AccountingStorageType=accounting_storage/none" ;;
      filetxt) echo "AccountingStorageType=accounting_storage/none"
               echo "JobCompType=jobcomp/filetxt"; echo "JobCompLoc=$SC_DIR/acct/jobcomp.txt" ;;
      dbd)     echo "AccountingStorageType=accounting_storage/slurmdbd"
               echo "AccountingStorageHost=127.0.0.1"; echo "AccountingStoragePort=$((SC_PORT+2))"
               echo "AccountingStoragePass=$SC_DIR/munge/socket   # here: the munge socket, not a password" ;;
      *) die "SC_ACCT must be none, filetxt or dbd" ;;
    esac
    for n in $(nodes); do
      echo "NodeName=$n NodeAddr=$(node_ip "$n") CPUs=$SC_CPUS Boards=1 SocketsPerBoard=1 CoresPerSocket=$SC_CPUS ThreadsPerCore=1 RealMemory=$SC_MEM $gres State=UNKNOWN"
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF"
    echo "PartitionName=short Nodes=ALL MaxTime=2 DefaultTime=1 State=UP PriorityTier=10 PreemptMode=OFF"
    echo "PartitionName=scavenge Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE"
    echo "PartitionName=grace Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30"
    if [ -n "$SC_EXTRA" ]; then cat "$SC_EXTRA"; fi
  } > "$SC_DIR/etc/slurm.conf"
  if [ "$SC_ACCT" = dbd ]; then
    (umask 077; cat > "$SC_DIR/etc/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$SC_DIR/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((SC_PORT+2))
SlurmUser=root
LogFile=$SC_DIR/log/slurmdbd.log
PidFile=$SC_DIR/run/slurmdbd.pidfile
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((SC_PORT+3))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
CONF
    )
  fi
  echo "CgroupPlugin=cgroup/v1" > "$SC_DIR/etc/cgroup.conf"  # else slurmd wants a tree of cgroups, though none is used
  dump_settings > "$SC_DIR/settings"
}

# --- parts ---
make_user() {
  if [ -z "$SC_USER" ] || id "$SC_USER" >/dev/null 2>&1; then return 0; fi
  useradd --create-home --shell /bin/bash "$SC_USER" && : > "$SC_DIR/made-user"
}
start_bridge() {
  ip link show "$BR" >/dev/null 2>&1 || ip link add "$BR" type bridge
  ip addr show dev "$BR" | grep "inet $CTL_IP/" >/dev/null || ip addr add "$CTL_IP/24" dev "$BR"
  ip link set "$BR" up
}
start_munge() {
  alive munged && return 0
  rm -f "$SC_DIR"/munge/socket*
  spawn munged munged -F --key-file="$SC_DIR/munge/key" --socket="$SC_DIR/munge/socket" \
    --pid-file="$SC_DIR/munge/pid" --log-file="$SC_DIR/log/munged.log" --seed-file="$SC_DIR/munge/seed"
  wait_for 10 munge sh -c "munge -n -S '$SC_DIR/munge/socket' | unmunge -S '$SC_DIR/munge/socket'" ||
    { tails "$SC_DIR/log/munged.out" "$SC_DIR/log/munged.log"; return 1; }
}
dbd_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$((SC_PORT+2))") 2>/dev/null; }
db_sql() { mariadb --no-defaults -S "$SC_DIR/run/mysql.sock" -u root "$@"; }
start_dbd() {
  [ "$SC_ACCT" = dbd ] || return 0
  local user
  if ! alive mariadbd; then
    local d=$SC_DIR/acct/mysql u; u=$(id -un mysql 2>/dev/null || echo root)
    if [ ! -d "$d/mysql" ]; then
      rm -rf "$d"; mkdir -p "$d"; chown "$u" "$d"
      mariadb-install-db --no-defaults --user="$u" --datadir="$d" --auth-root-authentication-method=normal \
        --skip-test-db >>"$SC_DIR/log/mariadb-install.out" 2>&1 || { tails "$SC_DIR/log/mariadb-install.out"; return 1; }
    fi
    chmod 1777 "$SC_DIR/run"
    spawn mariadbd mariadbd --no-defaults --user="$u" --datadir="$d" --socket="$SC_DIR/run/mysql.sock" \
      --pid-file="$d/mariadbd.pid" --bind-address=127.0.0.1 --port=$((SC_PORT+3)) \
      --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --performance-schema=OFF
    wait_for 40 mariadbd db_sql -e 'select 1' || { tails "$SC_DIR/log/mariadbd.out"; return 1; }
    db_sql -e "create database if not exists slurm_acct; create user if not exists slurm@'127.0.0.1' identified by 'slurm'; create user if not exists slurm@localhost identified by 'slurm'; grant all on slurm_acct.* to slurm@'127.0.0.1'; grant all on slurm_acct.* to slurm@localhost;"
  fi
  if ! alive slurmdbd; then
    # slurmdbd finds slurmdbd.conf beside the slurm.conf that SLURM_CONF names
    spawn slurmdbd slurmdbd -D
    wait_for 40 slurmdbd dbd_answers || { tails "$SC_DIR/log/slurmdbd.log" "$SC_DIR/log/slurmdbd.out"; return 1; }
    sacctmgr -n list cluster format=Cluster%30 | grep -w testcluster >/dev/null || sacctmgr -i add cluster testcluster >/dev/null
    sacctmgr -i add account test >/dev/null 2>&1 || true
    for user in root $SC_USER; do sacctmgr -i add user "$user" account=test >/dev/null 2>&1 || true; done
  fi
}
start_ctld() {
  alive slurmctld && return 0
  spawn slurmctld slurmctld -D -f "$SLURM_CONF"
  wait_for 20 slurmctld scontrol ping || { tails "$SC_DIR/log/slurmctld.out" "$SC_DIR/log/slurmctld.log"; return 1; }
}
slurmd_alive() { # node: does its slurmd run (looked up inside the node's PID namespace)?
  local p; alive "$1" || return 1
  p=$(cat "$SC_DIR/run/slurmd-$1.pidfile" 2>/dev/null) || return 1
  in_node "$1" sh -c "grep -qsa '^slurmd' /proc/$p/comm" 2>/dev/null
}
in_node() { local n=$1; shift; nsenter -t "$(pid_of "$n")" -m -u -i -n -p -- "$@" 9>&-; }
start_node() {
  local n=$1
  if ! alive "$n"; then
    ip link del "${BR}n${n#node}" 2>/dev/null || true
    rm -f "$SC_DIR/run/$n" "$SC_DIR/run/slurmd-$n.pidfile" "$SC_DIR/run/ready-$n"
    # what Slurm's PMIx plugin left before a crash would stop the same job's next start ("launch failed: Unspecified error")
    rm -rf "$SC_DIR/tmp/$n"/* "$SC_DIR/spool/$n"/*pmix*
    setsid unshare --mount --uts --ipc --net --pid --fork \
      bash "$SELF" __init "$n" "$SC_DIR" "$(node_ip "$n")" "$CTL_IP" >>"$SC_DIR/log/$n.out" 2>&1 </dev/null 9>&- &
    wait_for 10 "$n to start" alive "$n" || { tails "$SC_DIR/log/$n.out"; return 1; }
    ip link add "${BR}n${n#node}" type veth peer name eth0 netns "$(pid_of "$n")" || return 1
    ip link set "${BR}n${n#node}" master "$BR" up || return 1
    wait_for 10 "$n to boot" test -e "$SC_DIR/run/ready-$n" || { tails "$SC_DIR/log/$n.out"; return 1; }
  fi
  if ! slurmd_alive "$n"; then
    in_node "$n" env SLURM_CONF="$SLURM_CONF" setsid slurmd -N "$n" >>"$SC_DIR/log/$n.out" 2>&1 </dev/null ||
      { tails "$SC_DIR/log/$n.out" "$SC_DIR/log/slurmd-$n.log"; return 1; }
    wait_for 10 "slurmd on $n" slurmd_alive "$n" || { tails "$SC_DIR/log/slurmd-$n.log"; return 1; }
  fi
}
node_state() { alive slurmctld || return 0; timeout 10 sinfo -h -N -p main -n "$1" -o %T 2>/dev/null | sed -n 1p || true; }
nodes_ready() {
  local n s; for n in $(nodes); do
    s=$(node_state "$n"); case $s in idle|mixed|allocated|completing) ;; *) return 1 ;; esac
  done
}
resume_nodes() { # clear DOWN/DRAIN that is left from a crash
  local n s; for n in "$@"; do
    s=$(node_state "$n"); case $s in down*|drain*|fail*) scontrol update NodeName="$n" State=RESUME 2>/dev/null || true ;; esac
  done
}
node_init() { # runs as PID 1 of a node's PID namespace
  local n=$1 dir=$2 ip=$3 gw=$4 i st
  trap 'exit 0' TERM
  # /proc is still the host's here, so this bash can read its own host pid
  read -r st < /proc/self/stat
  set -- $st; i=$1; set -- ${st##*) }; echo "$i ${20}" > "$dir/run/.$n.new"; mv "$dir/run/.$n.new" "$dir/run/$n"
  mount -t proc proc /proc
  hostname "$n"
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  mount --bind "$dir/etc/hosts" /etc/hosts
  ip link set lo up
  for ((i=0; i<100; i++)); do ip link show eth0 >/dev/null 2>&1 && break; sleep 0.1; done
  ip addr add "$ip/24" dev eth0; ip link set eth0 up; ip route add default via "$gw"
  : > "$dir/run/ready-$n"
  while :; do sleep 3600 & wait $! || true; done
}

need_root() { [ "$(id -u)" = 0 ] || die "needs root"; }
PKGS="slurmctld slurmd slurm-client munge libpmix-dev iproute2 procps util-linux"
DBD_PKGS="slurmdbd mariadb-server"
check_tools() {
  local t missing=""
  for t in munged munge slurmctld slurmd sinfo ip unshare nsenter flock ps; do command -v "$t" >/dev/null || missing="$missing $t"; done
  if [ "$SC_ACCT" = dbd ]; then for t in slurmdbd mariadbd mariadb mariadb-install-db; do command -v "$t" >/dev/null || missing="$missing $t"; done; fi
  [ -z "$missing" ] || die "missing:$missing  (try: $0 install)"
  # Debian's mpi/pmix plugin dlopens the unversioned libpmix.so, which only libpmix-dev ships
  compgen -G '/usr/lib/*/pmix2/lib/libpmix.so' >/dev/null || compgen -G '/usr/lib/*/libpmix.so' >/dev/null ||
    say "WARNING: no unversioned libpmix.so (package libpmix-dev): srun --mpi=pmix will not work"
}
lock() { mkdir -p "$SC_DIR"; exec 9>"$SC_DIR/.lock"; flock -w 180 9 || die "another cluster.sh holds the lock"; }

cmd_install() {
  need_root; settings
  export DEBIAN_FRONTEND=noninteractive
  local p=$PKGS; [ "$SC_ACCT" = dbd ] && p="$p $DBD_PKGS"
  apt-get update -q && apt-get install -y -q --no-install-recommends $p
}
cmd_up() {
  need_root
  local asked n t0=$SECONDS
  settings; check_tools
  [ -f "$SC_DIR/settings" ] || [ -z "$(ls -A "$SC_DIR" 2>/dev/null | grep -vx .lock)" ] ||
    die "$SC_DIR is not empty and was not made by this script"
  [[ $SC_NODES =~ ^[1-9][0-9]?$ ]] || die "SC_NODES must be 1..99"
  lock
  asked=$(dump_settings)
  if [ -f "$SC_DIR/settings" ] && { alive munged || alive slurmctld; } && [ "$asked" != "$(cat "$SC_DIR/settings")" ]; then
    die "a cluster with other settings is up in $SC_DIR; run '$0 down' first"
  fi
  write_config
  make_user || die "could not make the user $SC_USER"
  start_bridge && start_munge && start_dbd && start_ctld || die "could not start the controller side (logs: $SC_DIR/log)"
  for n in $(nodes); do start_node "$n" || die "could not start $n (logs: $SC_DIR/log)"; done
  sleep 0.5; resume_nodes $(nodes)
  wait_for 40 "all nodes idle" nodes_ready || { sinfo -N -l >&2; die "nodes did not come up (logs: $SC_DIR/log)"; }
  say "up in $((SECONDS-t0)) s: $(sinfo -h -p main -o '%D nodes %N, state %T' | xargs)"
  say "use it with:  export SLURM_CONF=$SLURM_CONF"
}
cmd_down() {
  need_root; settings recorded; [ -d "$SC_DIR" ] || { say "nothing at $SC_DIR"; return 0; }
  lock
  local n f
  alive slurmctld && stop slurmctld TERM 15
  for f in "$SC_DIR"/run/node*; do [ -e "$f" ] || continue
    n=${f##*/}; stop "$n" KILL 10; ip link del "${BR}n${n#node}" 2>/dev/null || true; done
  stop slurmctld; stop slurmdbd TERM 15; stop mariadbd TERM 30; stop munged
  ip link del "$BR" 2>/dev/null || true
  rm -rf "$SC_DIR"/run/* "$SC_DIR"/run/.node* "$SC_DIR/state" "$SC_DIR"/spool "$SC_DIR"/tmp
  say "down"
}
cmd_clean() {
  cmd_down
  if [ -f "$SC_DIR/made-user" ]; then userdel --remove "$SC_USER" 2>/dev/null || say "the user $SC_USER is still there"; fi
  [ -f "$SC_DIR/settings" ] && rm -rf "$SC_DIR"
  say "cleaned"
}
cmd_status() {
  settings recorded; [ -f "$SC_DIR/settings" ] || { echo "not set up ($SC_DIR)"; return 3; }
  local bad=0 p n list="munged slurmctld"
  [ "$SC_ACCT" = dbd ] && list="munged mariadbd slurmdbd slurmctld"
  for p in $list; do if alive "$p"; then echo "$p: running (pid $(pid_of "$p"))"; else echo "$p: NOT running"; bad=1; fi; done
  for n in $(nodes); do
    if ! alive "$n"; then echo "$n: NOT running"; bad=1
    elif ! slurmd_alive "$n"; then echo "$n: node up (init pid $(pid_of "$n")), slurmd NOT running"; bad=1
    else echo "$n: running (init pid $(pid_of "$n"), $(node_ip "$n")), state $(node_state "$n")"; fi
  done
  if alive slurmctld; then nodes_ready || bad=1; squeue || bad=1; fi
  return $bad
}
cmd_crash() {
  need_root; settings recorded; is_node "${1:-}"; lock
  alive "$1" || die "$1 is not running"
  kill -KILL "$(pid_of "$1")"; wait_for 5 "$1 to die" sh -c "! kill -0 $(pid_of "$1") 2>/dev/null || grep -q ') Z' /proc/$(pid_of "$1")/stat" || true
  ip link del "${BR}n${1#node}" 2>/dev/null || true
  rm -f "$SC_DIR/run/$1"; say "$1 crashed (slurmctld notices after SlurmdTimeout=10 s)"
}
cmd_kill_slurmd() {
  need_root; settings recorded; is_node "${1:-}"; lock; slurmd_alive "$1" || die "no slurmd on $1"
  in_node "$1" kill -KILL "$(cat "$SC_DIR/run/slurmd-$1.pidfile")"; say "slurmd on $1 killed; its steps still run"
}
cmd_kill_ctld() {
  need_root; settings recorded; lock; alive slurmctld || die "slurmctld is not running"
  sleep 6  # it writes what has changed every five seconds; a job that is not written yet would be lost, as anywhere
  stop slurmctld KILL; say "slurmctld killed; 'up' starts it again"
}
cmd_restore() {
  need_root; settings recorded; is_node "${1:-}"; lock
  alive slurmctld || die "slurmctld is not running; use 'up', which repairs everything"
  start_node "$1" || die "could not start $1 (logs: $SC_DIR/log)"
  sleep 0.5; resume_nodes "$1"
  wait_for 40 "$1 to be ready" sh -c "sinfo -h -N -p main -n $1 -o %T | grep -qE '^(idle|mixed|allocated|completing)$'" || die "$1 did not come back"
  say "$1 is back: $(node_state "$1")"
}
cmd_exec() {
  need_root; settings recorded; is_node "${1:-}"; alive "$1" || die "$1 is not running"
  local n=$1; shift; [ $# -gt 0 ] || set -- bash
  exec nsenter -t "$(pid_of "$n")" -m -u -i -n -p --wd="$PWD" -- env SLURM_CONF="$SLURM_CONF" "$@"
}

case "${1:-}" in
  install|up|down|clean|status|crash|restore|exec) c=$1; shift; "cmd_$c" "$@" ;;
  kill-slurmd) shift; cmd_kill_slurmd "$@" ;;
  kill-ctld) cmd_kill_ctld ;;
  env) settings recorded; echo "export SLURM_CONF=$SLURM_CONF" ;;
  __init) shift; node_init "$@" ;;
  *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$SELF" >&2; exit 2 ;;
esac
