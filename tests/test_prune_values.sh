#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `sparsetune prune` against its rules' definitions, written a second time in another language.
# usage: tests/test_prune_values.sh BUILD_FOLDER
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || skip "Python 3.8 or later was not found"
python3 tests/prune_values.py "$build/sparsetune" "$folder"
