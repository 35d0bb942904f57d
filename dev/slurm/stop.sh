#!/bin/bash
# stop.sh FOLDER : ends every process of the private SLURM that start.sh began in FOLDER (files stay; remove them after).
set -u
[ $# = 1 ] || { echo "usage: stop.sh FOLDER" >&2; exit 2; }
[ -d "$1" ] || exit 0
DIR=$(cd "$1" && pwd -P); export SLURM_CONF=$DIR/slurm.conf
CLUSTER=t$(printf %s "$DIR" | md5sum | cut -c1-10)
pid() { cat "$DIR/$1.bgpid" 2>/dev/null; }
# ours: the environment has our tag (daemons, slurmstepd) or our cluster's name (what jobs started)
strays() { { for p in /proc/[0-9]*; do p=${p#/proc/}; [ "$p" = $$ ] && continue
  tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -qxE "SLURM_PRIVATE_DIR=$DIR|SLURM_CLUSTER_NAME=$CLUSTER" && echo "$p"; done; } 2>/dev/null; return 0; }
live() { local l; read -r l 2>/dev/null <"/proc/$1/stat" || return 1; l=${l##*) }; [ "${l%% *}" != Z ]; } 2>/dev/null   # a zombie that PID 1 has not reaped is gone
gone() { for ((i = 0; i < $1 * 20; i++)); do live "$2" || return 0; sleep 0.05; done; return 1; }
end() { local p; p=$(pid "$1"); [ -n "$p" ] || return 0
  { tr '\0' '\n' <"/proc/$p/environ"; } 2>/dev/null | grep -qx "SLURM_PRIVATE_DIR=$DIR" || { rm -f "$DIR/$1.bgpid"; return 0; }
  kill "-${2:-TERM}" "$p" 2>/dev/null; gone "${3:-5}" "$p" || kill -KILL "$p" 2>/dev/null; rm -f "$DIR/$1.bgpid"; }
end watcher KILL
if p=$(pid slurmctld) && [ -n "$p" ] && kill -0 "$p" 2>/dev/null; then
  timeout 3 scancel --full --signal=KILL -u "$(id -un)" 2>/dev/null   # running: processes killed at once
  timeout 3 scancel -u "$(id -un)" 2>/dev/null                        # and pending ones cancelled
fi
end slurmd; end slurmctld; end slurmdbd; end mariadbd; end munged
for n in 1 2 3 4 5; do s=$(strays); [ -z "$s" ] && exit 0; kill -KILL $s 2>/dev/null; sleep 0.1; done
s=$(strays); [ -z "$s" ] || { echo "stop.sh: still there: $s" >&2; exit 1; }
