#!/usr/bin/env bash
# tests/count.awk adds up what CTest prints.
set -u
bad=0

expect() { # ci, expected first line, text
    local got
    got=$(awk -v ci="$1" -f tests/count.awk <<<"$3" | head -1)
    [ "$got" = "$2" ] || { echo "expected $2, got $got from:"; echo "$3"; bad=1; }
}

expect '' '12 0 0' '1: [  PASSED  ] 12 test(s).
 1/1 Test #1: unit.a ......   Passed    0.01 sec'
expect '' '11 2 1' '1: [  PASSED  ] 11 test(s).
1: [  SKIPPED ] 1 test(s), listed below:
1: [  FAILED  ] 2 test(s), listed below:
 1/1 Test #1: unit.a ......***Failed    0.01 sec'
expect '' '1 0 0' ' 1/1 Test  #7: check.a .....   Passed    0.01 sec'
expect '' '0 1 0' ' 1/1 Test  #7: check.a .....***Failed    0.01 sec'
expect '' '0 1 0' ' 1/1 Test  #7: check.a .....***Timeout  60.01 sec'
expect '' '0 1 0' '1: text
 1/1 Test  #1: unit.a .....***Exception: SegFault  0.01 sec'
expect '' '0 1 0' ' 1/1 Test  #1: unit.a .....Subprocess aborted***Exception:   0.01 sec'
expect '' '0 1 0' ' 1/1 Test  #1: unit.a .....***Not Run   0.00 sec'
expect '' '0 0 1' ' 1/1 Test  #1: e2e.a ......***Skipped   0.00 sec'
expect true '0 1 0' ' 1/1 Test  #1: e2e.a ......***Skipped   0.00 sec'
# a driver's last sum counts; its known failures are skipped, new ones fail
expect '' '90 0 10' '2: 3 passed, 1 failed, 0 skipped
2: 90 passed, 8 failed, 2 skipped
 1/1 Test #2: conformance.a .....   Passed    0.01 sec'
expect '' '90 8 2' '2: 90 passed, 8 failed, 2 skipped
 1/1 Test #2: conformance.a .....***Failed    0.01 sec'
# two programs side by side
expect '' '7 0 0' '1: [  PASSED  ] 3 test(s).
2: [  PASSED  ] 4 test(s).
 1/2 Test #2: unit.b ......   Passed    0.01 sec
 2/2 Test #1: unit.a ......   Passed    0.01 sec'

exit $bad
