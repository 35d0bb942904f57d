#!/bin/bash
# start.sh FOLDER : a private one-node SLURM in FOLDER. Prints the slurm.conf to use (SLURM_CONF) on stdout.
# Idempotent: if it is already up in FOLDER, only prints. Environment (all optional):
#   SLURM_DBD=1          also a private mariadbd + slurmdbd (sacct)
#   SLURM_CPUS=2  SLURM_GRACE=0  SLURM_CRED_EXPIRE=5
#   SLURM_CTLD_PARAMETERS=preempt_send_user_signal SLURM_SCHED_EXTRA=,kill_invalid_depend
#   SLURM_WATCH_PID=PID  a watcher runs stop.sh when process PID is gone (a test that dies)
set -eu
[ $# = 1 ] || { echo "usage: start.sh FOLDER" >&2; exit 2; }
HERE=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"; DIR=$(cd "$1" && pwd -P)
CONF=$DIR/slurm.conf
unset ${!SLURM_JOB*} ${!SBATCH_*} ${!SLURMD_*} 2>/dev/null || true
export PATH=$PATH:/usr/sbin
trap 'die "failed at line $LINENO"' ERR
alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
die() { echo "start.sh: $*" >&2; tail -n 20 "$DIR"/*.log "$DIR"/*.err >&2 2>/dev/null || true; "$HERE/stop.sh" "$DIR" >&2 || true; exit 1; }
up() { SLURM_CONF=$CONF timeout 5 sinfo -h -N -n n1 -o %T 2>/dev/null | grep -qE '^(idle|mixed|allocated|completing)$'; }
wait_for() { local n=$(( SECONDS + $1 )); shift; while :; do "$@" && return 0; [ $SECONDS -lt $n ] || return 1; sleep 0.05; done; }
if [ -f "$CONF" ]; then
  if alive "$DIR/slurmctld.pid" && alive "$DIR/slurmd.pid" && up; then echo "$CONF"; exit 0; fi
  "$HERE/stop.sh" "$DIR" >&2 || true        # half dead: take the rest down, start anew (state is kept)
fi
HOST=$(hostname -s)
CLUSTER=t$(printf %s "$DIR" | md5sum | cut -c1-10)
# free ports (bound and let go at once; below the ephemeral range would also do)
read -r CTLD_PORT SLURMD_PORT DBD_PORT < <(python3 -c '
import socket
s=[socket.socket() for _ in range(3)]
for x in s: x.bind(("127.0.0.1",0))
print(*[x.getsockname()[1] for x in s])')
mkdir -p "$DIR"/{munge,state,spool}; chmod 755 "$DIR/munge"; chmod 700 "$DIR"/{state,spool}
# every daemon carries this tag in its environment; stop.sh finds strays by it
TAG="SLURM_PRIVATE_DIR=$DIR"
bg() { local name=$1; shift; env "$TAG" SLURM_CONF="$CONF" MYSQL_UNIX_PORT="$DIR/db.sock" setsid "$@" </dev/null >>"$DIR/$name.err" 2>&1 & echo $! >"$DIR/$name.bgpid"; }

# munge
[ -s "$DIR/munge/munge.key" ] || (umask 077; head -c 1024 /dev/urandom >"$DIR/munge/munge.key")
bg munged munged --foreground --force --num-threads=2 --key-file="$DIR/munge/munge.key" --socket="$DIR/munge/munge.sock" \
  --pid-file="$DIR/munge/munged.pid" --log-file="$DIR/munge/munged.log" --seed-file="$DIR/munge/munged.seed"
wait_for 10 test -S "$DIR/munge/munge.sock" || die "munged did not start"

ACCOUNTING="AccountingStorageType=accounting_storage/none"
if [ "${SLURM_DBD:-0}" = 1 ]; then
  if [ ! -d "$DIR/db/mysql" ]; then
    # what mariadb-install-db does (that script itself needs more packages); only mariadb-server-core is needed so
    rm -rf "$DIR/db"; mkdir -m 700 "$DIR/db"
    { printf 'create database mysql;\nuse mysql;\n'; sed /@current_hostname/d /usr/share/mysql/mysql_system_tables{,_data}.sql; } |
      mariadbd --no-defaults --user=root --bootstrap --datadir="$DIR/db" --innodb-log-file-size=16M --log-warnings=0 \
        --enforce-storage-engine= --max_allowed_packet=8M --net_buffer_length=16K >"$DIR/db-install.log" 2>&1 || die "mariadbd --bootstrap failed"
  fi
  # no network, no passwords: the socket lies in the private folder
  bg mariadbd mariadbd --no-defaults --user=root --datadir="$DIR/db" --socket="$DIR/db.sock" --pid-file="$DIR/mariadbd.pid" \
    --skip-networking --skip-grant-tables --innodb-buffer-pool-size=64M --innodb-log-file-size=16M \
    --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --log-error="$DIR/mariadbd.log"
  wait_for 30 test -S "$DIR/db.sock" || die "mariadbd did not start"
  (umask 077; cat >"$DIR/slurmdbd.conf" <<E
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/munge.sock
PidFile=$DIR/slurmdbd.pid
LogFile=$DIR/slurmdbd.log
DebugLevel=verbose
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
E
  )
  ACCOUNTING=$(printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd AccountingStorageHost=127.0.0.1 "AccountingStoragePort=$DBD_PORT" "AccountingStoragePass=$DIR/munge/munge.sock")
fi
export DIR HOST CLUSTER CTLD_PORT SLURMD_PORT ACCOUNTING
export CPUS=${SLURM_CPUS:-2} GRACE=${SLURM_GRACE:-0} CRED_EXPIRE=${SLURM_CRED_EXPIRE:-5} SCHED_EXTRA=${SLURM_SCHED_EXTRA:-}
export CTLD_PARAMETERS=${SLURM_CTLD_PARAMETERS:+SlurmctldParameters=$SLURM_CTLD_PARAMETERS}
python3 -c '
import os,re,sys
print(re.sub(r"@([A-Z_]+)@", lambda m: os.environ[m[1]], sys.stdin.read()), end="")' <"$HERE/slurm.conf" >"$CONF.new"
mv "$CONF.new" "$CONF"
if [ "${SLURM_DBD:-0}" = 1 ]; then
  # slurmdbd looks for slurmdbd.conf beside the file that SLURM_CONF names
  bg slurmdbd slurmdbd -D
  wait_for 30 env SLURM_CONF="$CONF" timeout 5 sacctmgr -n -i list cluster >/dev/null 2>&1 || die "slurmdbd did not start"
  SLURM_CONF=$CONF sacctmgr -i add cluster "$CLUSTER" >>"$DIR/sacctmgr.err" 2>&1 || true
fi
bg slurmctld slurmctld -D
bg slurmd slurmd -D -N n1
wait_for 30 up || die "the node did not become idle"
if [ -n "${SLURM_WATCH_PID:-}" ]; then
  bg watcher bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; rm -f "$3/watcher.bgpid"; unset SLURM_PRIVATE_DIR; exec env -u SLURM_PRIVATE_DIR "$2" "$3"' watcher "$SLURM_WATCH_PID" "$HERE/stop.sh" "$DIR"
fi
echo "$CONF"
