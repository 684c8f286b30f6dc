#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make install into an empty DESTDIR: the right files and no others, and a client that is compiled through pkg-config
# against nothing but them runs, with the shared and with the static library.
# usage: tests/test_install.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
mode=$(basename "$build")
[ "$mode" = release ] || [ "$mode" = debug ] ||
    skip "a client is linked in release and debug builds only, this is $mode"
prefix=/opt/sparse
root=$folder/root$prefix

# The build as it is: the same compiler, nothing compiled anew.
MAKEFLAGS= make --no-print-directory MODE="$mode" CC="$compiler" \
    $(grep -q -- -Werror "$build/flags" && echo WERROR=1) DESTDIR="$folder/root" PREFIX=$prefix install \
    >"$folder/log" 2>&1 || {
    tail -5 "$folder/log"
    echo "make install ended with an error"
    exit 1
}

version=$(sed -n 's/.*SPT_VERSION_TEXT "\(.*\)"/\1/p' include/sparsetune.h)
soversion=${version%%.*}
sort >"$folder/expected" <<END
bin/sparsetune
include/sparsetune.h
lib/libsparsetune.a
lib/libsparsetune.so
lib/libsparsetune.so.$soversion
lib/libsparsetune.so.$version
lib/pkgconfig/sparsetune.pc
share/man/man1/sparsetune.1
END
(cd "$root" && find . ! -type d | sed 's|^\./||' | sort) >"$folder/found"
diff "$folder/expected" "$folder/found" >"$folder/difference" ||
    wrong "installed files differ (< expected, > found): $(grep '^[<>]' "$folder/difference" | tr '\n' ' ')"
n_outside=$(find "$folder/root" ! -type d ! -path "$root/*" | wc -l)
[ "$n_outside" -eq 0 ] || wrong "$n_outside files were installed outside of the prefix"
! grep -rq "$folder" "$root/lib/pkgconfig" || wrong "the pkg-config file names DESTDIR"
! grep -q '@' "$root/lib/pkgconfig/sparsetune.pc" || wrong "the pkg-config file has an unfilled field"
[ "$("$root/bin/sparsetune" --version)" = "sparsetune $version" ] || wrong "the installed program does not tell $version"

# ---- a client: the example, outside of the source tree ----
cp examples/infer.c "$folder/client.c"
printf '4, 6, 5\n0 2 2 4 5\n0 5 1 2 3\n' >"$folder/pattern.smtx"
flags() {
    PKG_CONFIG_PATH="$root/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$folder/root" pkg-config "$@" sparsetune
}
if ! command -v pkg-config >/dev/null; then
    echo "pkg-config is not here: the client is compiled by hand"
    flags() {
        case $* in *--cflags*) echo "-I$root/include" ;; esac
        case $* in *--libs*) echo "-L$root/lib -lsparsetune -fopenmp -lsqlite3 -lxxhash -lcpuid -ldl -lm" ;; esac
    }
elif [ "$(flags --modversion)" != "$version" ]; then
    wrong "pkg-config tells version $(flags --modversion) instead of $version"
fi
cd "$folder" || exit 1
# shellcheck disable=SC2046 # words are wanted
{
    "$compiler" -std=c17 -o shared client.c $(flags --cflags --libs) -lm || wrong "the client does not compile"
    "$compiler" -std=c17 -o static client.c $(flags --cflags) \
        $(flags --static --libs | sed 's/-lsparsetune/-l:libsparsetune.a/') || wrong "the static client does not compile"
}
LD_LIBRARY_PATH=$root/lib ./shared pattern.smtx 3 nk bias >out 2>&1 || wrong "the client says: $(tail -2 out)"
grep -q 'largest error' out || wrong "the client did not check its result"
LD_LIBRARY_PATH=/nowhere ./static pattern.smtx 3 nk bias >out 2>&1 || wrong "the static client says: $(tail -2 out)"
! ldd ./static | grep -q sparsetune || wrong "the static client needs the shared library"

finish "$(wc -l <found) files"
