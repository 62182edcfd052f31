#!/bin/sh
# Makes this machine able to build, test and run Sluice: npm packages, redis-server and nats-server, and curl for tests.
# Does nothing, in well under a second, when all of it is there.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

oldest_node=20.19
guard=/usr/sbin/policy-rc.d
guard_mark="# written by the setup of Sluice"

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

check_node() {
  has node || fail "node is missing: install Node.js $oldest_node or newer (https://nodejs.org/en/download)"
  has npm || fail "npm is missing: install it with Node.js (https://nodejs.org/en/download; Debian: apt-get install npm)"
  version=$(node -p process.versions.node)
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  if [ "$major" -lt "${oldest_node%.*}" ] || { [ "$major" -eq "${oldest_node%.*}" ] && [ "$minor" -lt "${oldest_node#*.}" ]; }; then
    fail "node $version in $(command -v node) is too old: install Node.js $oldest_node or newer (https://nodejs.org/en/download)"
  fi
}

# npm writes node_modules/.package-lock.json as the last step of an installation.
# npm ci refuses a lock file that lacks the optional packages of other platforms (as it does where the registry that made it had
# not got them); npm install takes the very same versions from it and does not mind.
install_node_packages() {
  installed=node_modules/.package-lock.json
  if [ -f "$installed" ] && [ -z "$(find package-lock.json -newer "$installed")" ]; then return; fi
  say "installing the npm packages of package-lock.json"
  flags="--include=dev --no-audit --no-fund --loglevel=error"
  # shellcheck disable=SC2086 # a list of words
  if ! log=$(npm ci $flags </dev/null 2>&1); then
    printf '%s\n' "$log" | grep -v '^npm error *$' | head -n 6 >&2
    say "npm ci refused, see above: trying npm install --no-save"
    npm install --no-save $flags </dev/null ||
      fail "the npm packages can't be installed, see above: the registry $(npm config get registry) must be reachable"
  fi
  touch "$installed"
}

install_programs() {
  missing=
  for program in redis-server nats-server curl; do
    has "$program" || missing="$missing $program"
  done
  if [ -z "$missing" ]; then return; fi

  by_hand="install by hand and put into PATH: https://redis.io/downloads, https://github.com/nats-io/nats-server/releases, https://curl.se/download.html"
  has apt-get || fail "missing:$missing. There is no apt-get here; $by_hand"
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    { has sudo && sudo -n true 2>/dev/null; } || fail "missing:$missing. Run as root: apt-get install$missing. Or $by_hand"
    as_root="sudo -n"
  fi

  say "installing$missing with apt-get"
  forbid_starts
  # shellcheck disable=SC2086 # both are lists of words
  for package in $missing; do
    if apt-cache show "$package" >/dev/null 2>&1 && apt_get install --yes --no-install-recommends "$package"; then continue; fi
    apt_get update || fail "apt-get update failed: is the package mirror reachable?"
    apt_get install --yes --no-install-recommends "$package" || fail "apt-get can't install $package; $by_hand"
  done
  allow_starts
  for program in $missing; do
    has "$program" || fail "$program is installed, but not in PATH: $PATH"
    # curl is no service.
    if [ "$program" != curl ] && [ -d /run/systemd/system ]; then $as_root systemctl disable --quiet "$program" || true; fi
  done
}

apt_get() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" </dev/null
}

# The packages start their server at once. Sluice starts its own, so the machine must not be left with one that runs:
# Debian asks this program before it starts a service, and 101 says no.
forbid_starts() {
  if [ -e "$guard" ] && ! grep -q "$guard_mark" "$guard"; then return; fi
  trap allow_starts EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  printf '#!/bin/sh\n%s\nexit 101\n' "$guard_mark" | $as_root tee "$guard" >/dev/null
  $as_root chmod 755 "$guard"
}

allow_starts() {
  if [ -e "$guard" ] && grep -q "$guard_mark" "$guard"; then $as_root rm -f "$guard"; fi
}

check_node
install_node_packages
install_programs
