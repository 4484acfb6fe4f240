# Shared by the scripts in this folder: the cache, a lock, a hash, and how a missing tool is named.
# Sourced, never run. The cache is outside the checkout, so that fresh clones find what an earlier one built.
set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${FETCHER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fetcher-fleet}
mkdir -p "$cache"

say() { printf '%s\n' "$*" >&2; }

die() { say "error: $*"; exit 1; }

# need PROGRAM WHAT_FOR PACKAGE: stops with the command that installs it.
need() {
  command -v "$1" >/dev/null || die "$1 is missing ($2): install it with 'apt-get install $3', or your system's own package"
}

# hash FILE...: what a cached thing is keyed by.
hash() { cat "$@" | sha256sum | cut -c1-12; }

# lock NAME: waits until nobody else builds NAME; held until this script ends, however it ends.
lock() {
  need flock "two test runs must not build the same thing at once" util-linux
  exec 9>"$cache/$1.lock"
  flock -n 9 || { say "Waiting for another run that builds $1"; flock 9; }
}
