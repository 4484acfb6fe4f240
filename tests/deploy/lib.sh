# Shared by the scripts in this folder: checks that are counted, waiting for a state, and a Debian that is booted.
# Sourced, never run. What was started is ended when the script ends, however it ends.
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
cd "$tests/.."

work=$(mktemp -d)
passed=0
failed=0
endings=()
# at_end COMMAND: what has to be undone, in reverse order.
at_end() { endings=("$1" "${endings[@]}"); }
finish() {
  local status=$? ending
  trap - EXIT
  for ending in "${endings[@]}"; do eval "$ending" || true; done
  rm -rf --one-file-system "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# check SENTENCE COMMAND...: one thing that must hold.
check() {
  local sentence=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    passed=$((passed + 1))
    printf 'ok      %s\n' "$sentence"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s\n' "$sentence"
    tail -n 20 "$work/said" | sed 's/^/        /'
  fi
}

# within SECONDS COMMAND...: until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || { printf 'waited in vain: %s\n' "$*"; return 1; }
    sleep 0.5
  done
}

# not COMMAND...
not() { ! "$@"; }

# result: the last line, and what to exit with.
result() {
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}

# build: the workspace's binaries, where FETCHER_BIN names no folder with them.
build() {
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
  say "Building the workspace"
  # The same selection as the tests': another one would compile the AWS SDK again.
  cargo build --quiet --workspace --all-targets --locked
  built=$CARGO_TARGET_DIR/debug
  bin=${FETCHER_BIN:-$built}
}

# boot: boots a copy of the Debian of tests/setup/debian.sh; $rootfs is its folder, `in_guest COMMAND...` runs in it.
boot() {
  local made
  made=$(tests/setup/debian.sh)
  say "Copying and booting a Debian"
  rootfs=$work/rootfs
  cp -a "$(sed -n 's/^rootfs=//p' <<<"$made")" "$rootfs"
  "${1:-true}"
  # The network of this machine, so that loopback is the same on both sides.
  LD_LIBRARY_PATH=$(sed -n 's/^libraries=//p' <<<"$made") "$(sed -n 's/^nspawn=//p' <<<"$made")" \
    -D "$rootfs" --register=no --keep-unit --console=pipe -b >"$work/boot.log" 2>&1 </dev/null &
  nspawn=$!
  at_end halt
  within 60 find_leader || die "the Debian did not boot: $(tail -n 5 "$work/boot.log")"
  within 60 has_booted || die "systemd did not come up: $(in_guest systemctl list-jobs 2>&1 | head -20)"
}

find_leader() { leader=$(pgrep -P "$nspawn" | head -1) && [ -n "$leader" ]; }

has_booted() { in_guest systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)$'; }

in_guest() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C SYSTEMD_PAGER= nsenter -t "$leader" -a "$@"; }

halt() {
  in_guest systemctl poweroff >/dev/null 2>&1
  local end=$((SECONDS + 60))
  while kill -0 "$nspawn" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 0.5; done
  kill -KILL "$nspawn" 2>/dev/null
  wait "$nspawn" 2>/dev/null
  true
}

# property UNIT NAME
property() { in_guest systemctl show "$1" -p "$2" --value; }
is() { [ "$(property "$1" "$2")" = "$3" ] || { in_guest systemctl status "$1" --no-pager -n 5; false; }; }
