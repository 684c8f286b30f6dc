#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install what building and testing need and what is missing, through apt; say nothing when all is there.
# install-deps.sh [--print]: with --print show the apt and dnf lines instead and install nothing.
set -u

# header or program : Debian package : Fedora package
needed='
cc:gcc:gcc
stdlib.h:libc6-dev:glibc-devel
sqlite3.h:libsqlite3-dev:sqlite-devel
xxhash.h:libxxhash-dev:xxhash-devel
jansson.h:libjansson-dev:jansson-devel
zlib.h:zlib1g-dev:zlib-devel
cmocka.h:libcmocka-dev:libcmocka-devel'
[ "$(uname -m)" = x86_64 ] && needed="$needed
libcpuid/libcpuid.h:libcpuid-dev:libcpuid-devel"

# Rivals of the sparse kernels: without them dense is not a candidate, and the program says so.
wanted='libopenblas.so.0:libopenblas0-pthread:openblas-threads
libdnnl.so:libdnnl2 libdnnl3:onednn'

has_header() {
    for folder in /usr/include /usr/include/"$(uname -m)"-linux-gnu /usr/local/include; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}
has() {
    case $1 in
    *.h) has_header "$1" ;;
    *.so*) ls /usr/lib/"$(uname -m)"-linux-gnu/"$1"* /usr/lib64/"$1"* /usr/lib/"$1"* /usr/local/lib/"$1"* >/dev/null 2>&1 ||
        ldconfig -p 2>/dev/null | grep -q "$1" ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}
column() { # column N of the rows whose probe fails
    echo "$1" | while IFS=: read -r probe debian fedora; do
        [ -z "$probe" ] && continue
        has "$probe" || case $2 in 2) echo "$debian" ;; 3) echo "$fedora" ;; esac
    done
}

missing=$(column "$needed" 2 | tr '\n' ' ')
missing_wanted=$(column "$wanted" 2)
if [ "${1:-}" = --print ]; then
    all_debian=$(printf '%s\n%s\n' "$needed" "$wanted" | cut -d: -f2 | tr '\n' ' ')
    all_fedora=$(printf '%s\n%s\n' "$needed" "$wanted" | cut -d: -f3 | tr '\n' ' ')
    echo "apt-get install -y make $(echo "$all_debian" | sed 's/libdnnl2 libdnnl3/libdnnl2/')"
    echo "dnf install -y make $(echo "$all_fedora")"
    [ -z "$missing" ] || { echo "Missing here: $missing" >&2; exit 1; }
    exit 0
fi
[ -z "$missing$missing_wanted" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    [ -z "$missing" ] && exit 0
    echo "Missing: $missing. This machine has no apt; 'make NO_INSTALL=1 deps' prints the line for dnf." >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        [ -z "$missing" ] && exit 0
        echo "Missing: $missing. Run as root: apt-get install -y $missing" >&2
        exit 1
    fi
    as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
apt_install() {
    $as_root apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/tmp/sparsetune-apt.$$ 2>&1
}
echo "Installing through apt: $missing$(echo "$missing_wanted" | tr '\n' ' ')"
if ! $as_root apt-get update -o DPkg::Lock::Timeout=300 >/tmp/sparsetune-apt.$$ 2>&1; then
    echo "apt-get update had trouble; going on with the package lists that are there."
fi
# shellcheck disable=SC2086 # a list of words
if [ -n "$missing" ] && ! apt_install $missing; then
    tail -5 /tmp/sparsetune-apt.$$ >&2
    echo "apt could not install: $missing" >&2
    exit 1
fi
echo "$missing_wanted" | while read -r alternatives; do
    [ -z "$alternatives" ] && continue
    is_there=
    for package in $alternatives; do
        [ -z "$is_there" ] && apt_install "$package" && is_there=yes
    done
    [ -n "$is_there" ] || echo "Not available here: $alternatives (a dense rival; sparsetune works without it)."
done
rm -f /tmp/sparsetune-apt.$$
