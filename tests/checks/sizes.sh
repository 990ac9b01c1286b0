#!/usr/bin/env bash
# No function longer than 75 lines, no C file longer than 750, no header longer than 350.
set -u
mapfile -t files < <(find base wire net storage query server agents -name '*.[ch]' \
    -not -name '*.pb-c.*' -not -name '*_tables.h' | sort)
awk '
    FNR == 1 { start = 0 }
    /^\{/ { start = FNR }
    /^\}/ && start { if (FNR - start - 1 > 75) { print FILENAME ":" start ": a function of " FNR - start - 1 " lines"; bad = 1 } start = 0 }
    { lines[FILENAME] = FNR }
    END {
        for (file in lines) {
            limit = file ~ /\.h$/ ? 350 : 750
            if (lines[file] > limit) { print file " has " lines[file] " lines, the limit is " limit; bad = 1 }
        }
        exit bad
    }' "${files[@]}"
