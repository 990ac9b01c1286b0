#!/usr/bin/env bash
# Every header of ours compiles alone and has an include guard of its path.
set -u
bad=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
flags=$(pkg-config --cflags libmicrohttpd lmdb libzstd libpcre2-8 libprotobuf-c libcurl yaml-0.1)

for header in base/*.h wire/*.h net/*.h storage/*.h query/*.h server/*.h agents/*.h tests/faults/*.h; do
    [ -f "$header" ] || continue
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/alone.c"
    if ! ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only $flags -I. \
        -I"${BINARY_DIR:-build/release}/generated" "$scratch/alone.c" 2>"$scratch/errors"; then
        echo "$header does not compile alone:"
        head -3 "$scratch/errors"
        bad=1
    fi
    guard=$(tr 'a-z/.-' 'A-Z___' <<<"${header}")
    case $header in
    *.pb-c.h) ;;
    *) grep -q "^#ifndef $guard\$" "$header" || { echo "$header: the guard is not $guard"; bad=1; } ;;
    esac
done
exit $bad
