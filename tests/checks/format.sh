#!/usr/bin/env bash
# Every C file of ours is formatted as .clang-format says (generated code excepted).
set -u
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is missing"; exit 77; }
mapfile -t files < <(find base wire net storage query server agents web tests \
    -name '*.[ch]' -not -name '*.pb-c.*' -not -path '*/node_modules/*' | sort)
bad=0
for file in "${files[@]}"; do
    clang-format-14 --dry-run -Werror "$file" >/dev/null 2>&1 || { echo "$file is not formatted"; bad=1; }
done
exit $bad
