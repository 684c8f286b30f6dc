#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Build for aarch64 with Debian's cross compiler and run the tests under qemu's user emulation, one OpenMP thread each
# (libgomp with more hangs in qemu 7.2). Libraries and qemu are unpacked under build/aarch64; nothing but the compiler
# is installed, and that only where `make deps` may install, too. What emulation cannot show: speed.
# usage: tools/test-aarch64.sh [TEST...], as tests/test_*.c are named; all without. Exit 77: skipped, the last line says why.
set -u
cd "$(dirname "$0")/.." || exit 1
triple=aarch64-linux-gnu
build=build/release-$triple
root=$PWD/build/aarch64
libraries="libsqlite3-0 libsqlite3-dev libxxhash0 libxxhash-dev libjansson4 libjansson-dev libcmocka0 libcmocka-dev
    zlib1g zlib1g-dev"
skip() {
    echo "SKIP: $1"
    exit 77
}

# ---- what is needed: a compiler, libraries of the other architecture, an emulator ----
if ! command -v $triple-gcc >/dev/null; then
    install="apt-get install -y --no-install-recommends gcc-$triple libc6-dev-arm64-cross"
    [ -z "${NO_INSTALL:-}" ] && [ "$(id -u)" = 0 ] && $install >/dev/null 2>&1
    command -v $triple-gcc >/dev/null || skip "$triple-gcc is not here (Debian: $install)"
fi
quietly() {
    "$@" >>"$root/apt.log" 2>&1
}
unpack() { # unpack APT_OPTION... PACKAGE...: into $root, as the package lists know them
    mkdir -p "$root/new" && (cd "$root/new" && quietly apt-get "$@") || return 1
    local package
    for package in "$root"/new/*.deb; do
        quietly dpkg-deb -x "$package" "$root" || return 1
    done
    rm -rf "$root/new"
}
mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial" && : >"$root/state/status"
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || echo "$root/usr/bin/qemu-aarch64-static")
host=$(dpkg --print-architecture 2>/dev/null)
[ -x "$qemu" ] || emulator=qemu-user-static:$host
if [ "$(cat "$root/packages" 2>/dev/null)" != "$libraries" ] || [ ! -x "$qemu" ]; then
    # A package database of its own, so that neither root nor a foreign architecture on this machine is needed.
    apt_options=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Architectures::="$host"
        -o Dir::State="$root/state" -o Dir::State::status="$root/state/status" -o Dir::Cache="$root/cache"
        -o APT::Sandbox::User=root)
    quietly apt-get "${apt_options[@]}" update
    # shellcheck disable=SC2086 # a list of words
    unpack "${apt_options[@]}" download $libraries ${emulator:-} ||
        skip "apt cannot fetch qemu-user-static and the arm64 libraries: $(tail -1 "$root/apt.log")"
    echo "$libraries" >"$root/packages"
fi

# ---- build ----
at=$root/usr/lib/$triple
make --no-print-directory -s -j"$(nproc)" CROSS=$triple CFLAGS="-isystem $root/usr/include -isystem $root/usr/include/$triple" \
    LDFLAGS="-L$at -Wl,-rpath,$at" all tests || exit 1

# ---- run: through binfmt_misc, so that a test can start its workers; each by hand where the kernel does not allow it ----
export QEMU_LD_PREFIX=/usr/$triple OMP_NUM_THREADS=1 OMP_THREAD_LIMIT=1 SPT_SLOWER=20 SPT_SIMT_CC=$triple-gcc NO_INSTALL=1
export TEST_TIMEOUT=${TEST_TIMEOUT:-1200}
# shellcheck disable=SC2016 # the inner shell expands
register='mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
    printf ":sparsetune-aarch64:M::%s:%s:%s:OCF" "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00" \
        "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff" "$0" \
        >/proc/sys/fs/binfmt_misc/register && exec "$@"'
inside=()
if ! "$build/sparsetune" device >/dev/null 2>&1; then
    inside=(unshare --user --map-root-user --mount bash -c "$register" "$qemu")
    if ! "${inside[@]}" "$build/sparsetune" device >/dev/null 2>&1; then
        inside=()
        export TEST_RUNNER=$qemu
        "$qemu" "$build/sparsetune" device >/dev/null || skip "$qemu does not run what $triple-gcc made"
        echo "binfmt_misc cannot be used here: tests that start a worker or the program are skipped"
    fi
fi
"${inside[@]}" tools/run-tests.sh $build "$@"
