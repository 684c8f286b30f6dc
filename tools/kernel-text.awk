# SPDX-License-Identifier: Apache-2.0
# The kernel half of a .cu file, or a whole header (-v whole=1), as it is embedded: without indentation and comments that
# have lines of their own. Lines stay where they are, so that a compiler's messages name the right ones.
BEGIN { on = whole }
/^#endif \/\/ __CUDACC_RTC__/ && !whole { on = 0 }
on {
    sub(/^[ \t]+/, "")
    sub(/[ \t]+\\$/, " \\")
    if (in_comment || /^\/\*/) {
        in_comment = !/\*\//
        if (!in_comment && !/\*\/$/) { sub(/^.*\*\/[ \t]*/, ""); print; next }
        print ""
        next
    }
    print (/^\/\// ? "" : $0)
}
/^#else \/\/ kernel half/ && !whole { on = 1; print "#line " NR + 1 " \"" FILENAME "\"" }
