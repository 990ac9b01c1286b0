#!/usr/bin/env bash
# No banned call compiles, with either compiler.
set -u
bad=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
required='strcpy strcat strncpy sprintf vsprintf strtok atoi atol sscanf gets gmtime localtime alloca'
names=$( (sed -n 's/^#pragma GCC poison //p' base/banned.h; echo "$required") | tr ' ' '\n' | sort -u)

compiles() { # compiler, body
    printf 'int call(void);\nint call(void)\n{\n    %s\n    return 0;\n}\n' "$2" >"$scratch/call.c"
    "$1" -std=gnu17 -D_GNU_SOURCE -I. -include base/banned.h -w -fsyntax-only "$scratch/call.c" \
        2>/dev/null
}

for compiler in gcc clang-14; do
    command -v "$compiler" >/dev/null || { echo "$compiler is missing"; exit 77; }
    compiles "$compiler" '(void)strlen("x");' || { echo "$compiler: an allowed call does not compile"; bad=1; }
    for name in $names; do
        compiles "$compiler" "void *p = (void *)$name; (void)p;" &&
            { echo "$compiler: $name compiles"; bad=1; }
    done
done
exit $bad
