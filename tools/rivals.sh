#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Brings the rivals of `make bench` into build/rivals/lib: OpenBLAS, oneDNN and LIBXSMM from Debian or Ubuntu, MKL from its
# wheels where pip reaches an index. Nothing is linked to them; what cannot be had is named. NO_INSTALL=1 only looks.
set -u
cd "$(dirname "$0")/.." || exit 1
target=build/rivals
mkdir -p "$target/lib"
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

missing=
for package in libopenblas0-pthread libdnnl2 libxsmm-dev; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ] && [ -z "${NO_INSTALL:-}" ] && command -v apt-get >/dev/null; then
    echo "rivals: installing$missing"
    $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $missing >/dev/null
fi

if [ -e "$target/lib/libmkl_rt.so.3" ] || [ -e "$target/lib/libmkl_rt.so.2" ]; then
    echo "rivals: MKL is there"
elif [ -z "${NO_INSTALL:-}" ] && python3 -m pip --version >/dev/null 2>&1; then
    echo "rivals: fetching MKL's wheels (about 280 MB)"
    if python3 -m pip download -q --no-deps -d "$target/wheels" mkl intel-openmp tbb; then
        for wheel in "$target"/wheels/*.whl; do
            python3 -m zipfile -e "$wheel" "$target/wheels/unpacked"
        done
        find "$target/wheels/unpacked" -name '*.so*' -exec mv -f {} "$target/lib/" \;
        rm -rf "$target/wheels"
    else
        echo "rivals: MKL not found: no Python package index answers"
    fi
else
    echo "rivals: MKL not found: pip is missing"
fi

if [ -e /usr/lib/libxsmm.a ] && [ -e /usr/include/libxsmm.h ]; then
    gcc -O2 -shared -fPIC -I. -o "$target/lib/libsparsetune_rival_libxsmm.so" bench/libxsmm_plugin.c \
        -lxsmm -lxsmmnoblas -lpthread -lrt -ldl -lm && echo "rivals: LIBXSMM's plug-in is built"
else
    echo "rivals: LIBXSMM not found: libxsmm-dev is not installed"
fi
for library in libopenblas.so.0 libdnnl.so.2; do
    ldconfig -p | grep -q "$library" && echo "rivals: $library is there" || echo "rivals: $library not found"
done
