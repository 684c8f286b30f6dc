#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The job array of configs/slurm on a real Slurm of one node, in a folder of its own: an array job tunes a suite, the
# dependent job merges. Needs root and slurm-wlm and munge, which it installs where `make test` may install.
# usage: tests/test_slurm.sh BUILD_FOLDER. Exit 77: skipped, the last line says why.
set -u
repository=$(cd "$(dirname "$0")/.." && pwd)
program=$(cd "$1" && pwd)/sparsetune
skip() {
    echo "SKIP: $1"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "a Slurm of one's own needs root"
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    [ -z "${NO_INSTALL:-}" ] || skip "slurm-wlm and munge are not installed"
    command -v apt-get >/dev/null || skip "slurm-wlm and munge are not installed, and there is no apt"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge >/dev/null 2>&1 ||
        skip "apt could not install slurm-wlm and munge"
fi
folder=$(mktemp -d /tmp/sparsetune-slurm-XXXXXX) || exit 1
daemons=()
stop() {
    for process in "${daemons[@]}"; do
        kill "$process" 2>/dev/null
    done
    wait
    rm -rf "$folder"
}
trap stop EXIT
cd "$folder" || exit 1
host=$(hostname -s)
port=$((20000 + RANDOM % 20000))
mkdir state spool_d munge && chmod 700 munge
dd if=/dev/urandom of=munge/key bs=128 count=1 2>/dev/null && chmod 400 munge/key
chmod 755 "$folder"
export SLURM_CONF=$folder/slurm.conf
cat >slurm.conf <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool_d
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ReturnToService=2
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=10 State=UP
END
munged --foreground --force --socket="$folder/munge.socket" --key-file=munge/key --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" >munged.out 2>&1 &
daemons+=($!)
sleep 1
slurmctld -D -i >slurmctld.out 2>&1 &
daemons+=($!)
slurmd -D -N "$host" >slurmd.out 2>&1 &
daemons+=($!)
for _ in $(seq 40); do
    [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
    sleep 0.5
done
[ "$(sinfo -h -o %T 2>/dev/null)" = idle ] ||
    skip "Slurm does not start here: $(tail -qn 1 munged.out slurmctld.log slurmd.log 2>/dev/null | tr '\n' ';')"

fail() {
    echo "WRONG: $*"
    tail -n 5 slurm-*.out slurmctld.log 2>/dev/null
    exit 1
}
cat >suite.json <<'END'
{"name": "three layers", "layers": [
  {"pattern": "uniform:64x96@0.9", "n": 32}, {"pattern": "uniform:64x96@0.8", "n": 33},
  {"pattern": "uniform:96x64@0.9", "n": 34}]}
END
export SPARSETUNE=$program TUNE_OPTIONS="--budget 6 --threads 1" XDG_DATA_HOME=$folder/data HOME=$folder
"$repository/configs/slurm/submit.sh" suite.json spool all.db 2 --time=5 >submitted 2>&1 || fail "submit: $(cat submitted)"
for _ in $(seq 240); do
    [ -z "$(squeue -h)" ] && break
    sleep 0.5
done
[ -z "$(squeue -h)" ] || fail "jobs do not end: $(squeue)"
[ "$(find spool -name '*.db' | wc -l)" -eq 2 ] || fail "$(find spool -name '*.db' | wc -l) databases of 2 tasks"
[ -e all.db ] || fail "no merged database"
"$program" db list --db all.db --json >list || fail "the merged database has no winners"
[ "$(wc -l <list)" -eq 3 ] || fail "$(wc -l <list) winners of 3 problems"
"$program" db info --db all.db --json | grep -q '"integrity":"ok"' || fail "the merged database is not whole"
echo "test_slurm: $(cat submitted): $(wc -l <list) winners of 3 problems"
