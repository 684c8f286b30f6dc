# SPDX-License-Identifier: Apache-2.0
# What shell tests share; sourced by tests/test_*.sh with the build folder in $1: its path in $build, its compiler in
# $compiler, an empty folder that goes at the end in $folder, nothing of the user's, and a count of what is wrong.
# shellcheck shell=bash
set -u
build=$(cd "$1" && pwd) || exit 1
compiler=$(cut -d' ' -f1 "$build/flags")
folder=$(mktemp -d "${TMPDIR:-/tmp}/sparsetune-$(basename "$0" .sh)-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT INT TERM
export XDG_DATA_HOME="$folder/data" HOME="$folder"
unset SPARSETUNE_DB SPARSETUNE_RECORD
n_checks=0
n_wrong=0

wrong() {
    n_wrong=$((n_wrong + 1))
    echo "WRONG: $*"
}
# finish [WORDS]: the last line of a test; what was done, and how much of it was wrong
finish() {
    echo "$(basename "$0" .sh): ${*:-$n_checks checks}, $n_wrong wrong"
    [ "$n_wrong" -eq 0 ]
}
# skip WORDS: this build or machine cannot show it
skip() {
    echo "skipped: $*"
    exit 77
}
# link ARGUMENTS...: compile and link a client as the build folder was made: its compiler, its paths of libraries
link() {
    local flags client=()
    read -r -a flags <"$build/flags"
    for ((i = 1; i < ${#flags[@]}; i++)); do
        case ${flags[i]} in
        -isystem) client+=(-isystem "${flags[i + 1]}") ;;
        -L* | -Wl,-rpath*) client+=("${flags[i]}") ;;
        esac
    done
    "$compiler" "$@" "${client[@]}"
}
