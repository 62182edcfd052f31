#!/bin/sh
# Sets the machine up, makes every check and runs every test, all of them even if one fails.
# The last line is `N passed, N failed`; a check counts as one.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

tools/setup.sh || {
  printf '\n0 passed, 1 failed\n'
  exit 1
}

CHECKS_PASSED=0
CHECKS_FAILED=0
for check in format:check build typecheck lint unused; do
  printf '\n== %s\n' "$check"
  if npm run --silent "$check"; then
    CHECKS_PASSED=$((CHECKS_PASSED + 1))
  else
    CHECKS_FAILED=$((CHECKS_FAILED + 1))
    printf '== %s failed\n' "$check"
  fi
done
export CHECKS_PASSED CHECKS_FAILED

printf '\n== tests\n'
exec node_modules/.bin/vitest run
