#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Submit the tuning of a suite as an array of N tasks, and the merge that waits for them.
# usage: configs/slurm/submit.sh SUITE.json SPOOL_FOLDER DATABASE [N] [SBATCH_OPTION...]
# The folder must be one that all nodes see. SPARSETUNE names the program, TUNE_OPTIONS adds options of `tune`.
set -eu
[ $# -ge 3 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
SUITE=$(readlink -f "$1") SPOOL=$(mkdir -p "$2" && readlink -f "$2") DB=$(readlink -f "$3")
export SUITE SPOOL DB
tasks=${4:-8}
shift $(($# < 4 ? $# : 4))
array=$(sbatch --parsable --array="1-$tasks" "$@" "$here/tune.sbatch")
merge=$(sbatch --parsable --dependency="afterany:$array" "$@" "$here/merge.sbatch")
echo "array $array of $tasks tasks, then merge $merge into $DB"
