#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Brings the rivals of `make bench` into build/rivals/lib: OpenBLAS, oneDNN, LIBXSMM and Eigen from Debian or Ubuntu, MKL
# from its wheels where pip reaches an index. Nothing is linked to them; those that need headers or a static library become
# plug-ins (bench/plugin.h). What cannot be had is named as not found. NO_INSTALL=1 only looks and builds plug-ins.
set -u
cd "$(dirname "$0")/.." || exit 1
target=build/rivals
mkdir -p "$target/lib"
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
say() {
    echo "rivals: $*"
}

# ---- Debian's packages; one that is not to be had leaves the others alone ----
missing=
for package in libopenblas0-pthread libdnnl-dev libxsmm-dev libeigen3-dev g++; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ] && [ -z "${NO_INSTALL:-}" ] && command -v apt-get >/dev/null; then
    say "installing$missing"
    $as_root apt-get update -qq
    for package in $missing; do
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
            say "$package cannot be installed"
    done
fi
for library in OpenBLAS:libopenblas.so.0 oneDNN:libdnnl.so; do
    if ldconfig -p | grep -q "${library#*:}"; then say "${library%:*} is there"; else say "${library%:*} not found"; fi
done

# ---- MKL ----
if [ -e "$target/lib/libmkl_rt.so.3" ] || [ -e "$target/lib/libmkl_rt.so.2" ]; then
    say "MKL is there"
elif [ -n "${NO_INSTALL:-}" ]; then
    say "MKL not found: not fetched with NO_INSTALL"
elif ! python3 -m pip --version >/dev/null 2>&1; then
    say "MKL not found: pip is missing"
else
    say "fetching MKL's wheels (about 280 MB)"
    if python3 -m pip download -q --no-deps -d "$target/wheels" mkl intel-openmp tbb; then
        for wheel in "$target"/wheels/*.whl; do
            python3 -m zipfile -e "$wheel" "$target/wheels/unpacked"
        done
        find "$target/wheels/unpacked" -name '*.so*' -exec mv -f {} "$target/lib/" \;
        rm -rf "$target/wheels"
    else
        say "MKL not found: no Python package index answers"
    fi
fi

# ---- plug-ins ----
plugin() { # plugin NAME HEADER PACKAGE COMPILER... : build/rivals/lib/libsparsetune_rival_NAME.so
    local name=$1 header=$2 package=$3 library=$target/lib/libsparsetune_rival_$1.so
    shift 3
    rm -f "$library"
    if ! echo "#include <$header>" | g++ -I/usr/include/eigen3 -E -x c++ - >/dev/null 2>&1; then
        say "$name not found: $package or g++ is not installed"
    elif "$@" -O3 -DNDEBUG -shared -fPIC -I. -o "$library.new" "${libraries[@]}" && mv "$library.new" "$library"; then
        say "$name: the plug-in is built"
    else
        say "$name not found: its plug-in does not build"
    fi
}
libraries=(-lxsmm -lxsmmnoblas -lpthread -lrt -ldl -lm)
plugin libxsmm libxsmm.h libxsmm-dev gcc bench/libxsmm_plugin.c
libraries=(-ldnnl)
plugin onednn_bf16 dnnl.hpp libdnnl-dev g++ -std=c++17 bench/onednn_plugin.cpp
plugin onednn_int8 dnnl.hpp libdnnl-dev g++ -std=c++17 -DSPT_INT8 bench/onednn_plugin.cpp
libraries=()
eigen=(g++ -std=c++17 -fopenmp -isystem /usr/include/eigen3 bench/eigen_plugin.cpp)
plugin eigen Eigen/SparseCore libeigen3-dev "${eigen[@]}"
if [ "$(uname -m)" = x86_64 ]; then # Eigen's instruction set is the compiler's
    plugin eigen_avx2 Eigen/SparseCore libeigen3-dev "${eigen[@]}" -march=x86-64-v3
    plugin eigen_avx512 Eigen/SparseCore libeigen3-dev "${eigen[@]}" -march=x86-64-v4
fi
