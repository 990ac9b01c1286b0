#!/usr/bin/env bash
# Each folder says what it is for.
set -u
bad=0
for folder in . base wire net storage query server agents web tests docs deploy; do
    [ -d "$folder" ] || continue
    if [ ! -f "$folder/README.md" ]; then
        echo "$folder/README.md is missing"
        bad=1
    elif [ "$(wc -l <"$folder/README.md")" -lt 5 ]; then
        echo "$folder/README.md says next to nothing"
        bad=1
    fi
done
exit $bad
