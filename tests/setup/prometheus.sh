#!/usr/bin/env bash
# prometheus.sh: prints the folder of prometheus and promtool: those on PATH, else from Debian's package, unpacked into
# the cache and not installed (installing would bring a service and eleven more packages).
. "$(dirname "$0")/lib.sh"

if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
  dirname "$(command -v promtool)"
  exit
fi
need apt-get "promtool comes from Debian's package prometheus; elsewhere put promtool and prometheus on PATH" apt
need dpkg-deb "unpacks Debian's packages" dpkg

root=$cache/prometheus
lock prometheus
if [ ! -x "$root/usr/bin/promtool" ]; then
  say "Fetching prometheus into $root"
  rm -rf "$root.new"
  mkdir -p "$root.new/lists/partial"
  cd "$root.new"
  # With the system's package lists; where they are missing or old, with lists of our own, which needs no root.
  if ! apt-get -q download prometheus >&2; then
    own=(-q -o "Dir::State::Lists=$root.new/lists" -o "Dir::Cache=$root.new")
    apt-get "${own[@]}" update >&2 && apt-get "${own[@]}" download prometheus >&2 ||
      die "apt-get could not download prometheus: it needs Debian's mirror, or put promtool and prometheus on PATH"
  fi
  dpkg-deb -x prometheus_*.deb . >&2
  rm -rf prometheus_*.deb lists ./*.bin archives
  rm -rf "$root"
  mv "$root.new" "$root"
fi
echo "$root/usr/bin"
