# count.awk - counts the cases in the output of `ctest -V`.
#
# A program may hold many cases: cmocka says "[  PASSED  ] 12 test(s).", scripts
# and conformance drivers end with "N passed, N failed, N skipped".  Anything
# else is one case.  Failures inside a test that passed as a whole are known
# ones (a conformance driver compares with its list): they count as skipped.
# First line: passed, failed and skipped; then a line for each failed test.

/^[0-9]+: / {
    id = $1
    sub(/:$/, "", id)
    text = $0
    sub(/^[0-9]+: ?/, "", text)
    if (text ~ /^\[  PASSED  \] [0-9]+ test/) { inside[id] = 1; ok[id] += number(text) }
    else if (text ~ /^\[  FAILED  \] [0-9]+ test/) { inside[id] = 1; bad[id] += number(text) }
    else if (text ~ /^\[  SKIPPED \] [0-9]+ test/) { inside[id] = 1; none[id] += number(text) }
    else if (text ~ /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/) {
        split(text, word, " ")
        inside[id] = 1
        ok[id] = word[1]; bad[id] = word[3]; none[id] = word[5]
    }
    if (text ~ /^(Test command|Working Directory|Environment variables|Test timeout)/) next
    if (text ~ /runtime error|ERROR: |WARNING: Thread|SUMMARY|error:|FAILED|[Ee]xpected|!=/ && ++told[id] <= 8)
        telling[id] = telling[id] "\n      " substr(text, 1, 200)
    last[id] = last[id] "\n      " substr(text, 1, 200)
    if (++lines[id] > 6) { lines[id]--; sub(/^\n[^\n]*/, "", last[id]) }
    next
}

/^ *[0-9]+\/[0-9]+ +Test +#[0-9]+:/ {
    match($0, /#[0-9]+/)
    id = substr($0, RSTART + 1, RLENGTH - 1)
    name = $0
    sub(/^[^#]*#[0-9]+: */, "", name)
    sub(/ .*/, "", name)
    if ($0 ~ /\*\*\*Skipped/) {
        if (ci == "true") problem(id, name, "skipped, which CI does not allow", 1)
        else { skipped++; notes = notes "\n    skipped: " name }
    } else if ($0 ~ / Passed +[0-9.]+ sec/) {
        if (!inside[id]) passed++
        else {
            passed += ok[id]; skipped += none[id] + bad[id]
            if (bad[id] > 0) notes = notes "\n    " name ": " bad[id] " known failures counted as skipped"
        }
    } else {
        passed += ok[id]; skipped += none[id]
        problem(id, name, "failed", bad[id] > 0 ? bad[id] : 1)
    }
    next
}

function number(text) {
    match(text, /[0-9]+ test/)
    return substr(text, RSTART, RLENGTH) + 0
}

function problem(id, name, what, count) {
    failed += count
    notes = notes "\n    " what ": " name (told[id] ? telling[id] : last[id])
}

END {
    print passed + 0, failed + 0, skipped + 0 notes
}
