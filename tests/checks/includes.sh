#!/usr/bin/env bash
# Who may include whom (docs/architecture.md), and which module wraps which library.
set -u
bad=0

complain() {
    echo "$1"
    bad=1
}

folders='base|wire|net|storage|query|server|agents|web'
declare -A allowed=(
    [base]='base'
    [wire]='base|wire'
    [net]='base|wire|net'
    [storage]='base|storage'
    [query]='base|storage|query'
    [server]='base|wire|net|storage|query|server|web'
    [agents]='base|wire|net|agents')

for folder in "${!allowed[@]}"; do
    while IFS= read -r line; do
        complain "${line%%:*} must not include ${line##*#include }"
    done < <(grep -rnE "^ *# *include \"($folders|tests)/" --include='*.[ch]' "$folder" |
        grep -vE "include \"(${allowed[$folder]})/")
done

# Third-party headers: each only in the files that wrap it, at most so many in a folder.
wrapped() { # header-regex "folder:count ..."
    local header=$1 places=$2 file folder place count
    declare -A seen=()
    while IFS= read -r file; do
        folder=${file%%/*}
        seen[$folder]="${seen[$folder]:-} $file"
    done < <(grep -rlE "^ *# *include <($header)>" --include='*.[ch]' \
        base wire net storage query server agents)
    for folder in "${!seen[@]}"; do
        count=0
        for place in $places; do
            [ "${place%%:*}" = "$folder" ] && count=${place##*:}
        done
        set -- ${seen[$folder]}
        [ $# -le "$count" ] ||
            complain "<$header> is included by$(printf ' %s' "$@"): $folder/ may have $count such files"
    done
}

wrapped 'microhttpd\.h' 'server:1'
wrapped 'lmdb\.h' 'storage:1'
wrapped 'pcre2\.h' 'base:1'
wrapped 'zstd\.h' 'wire:1 storage:1'
wrapped 'zlib\.h' 'wire:1 server:1'
wrapped 'snappy-c\.h' 'wire:1'
wrapped 'yaml\.h' 'net:1 server:1'
wrapped 'curl/curl\.h' 'net:1'
wrapped 'xxhash\.h' 'base:1'
wrapped 'jansson\.h|cmocka\.h|re2/re2\.h|threads\.h' ''

exit $bad
