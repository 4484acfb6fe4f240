#!/usr/bin/env bash
# cargo-deb.sh: cargo-deb, installed into the cache. Prints its path.
. "$(dirname "$0")/lib.sh"

version=3.8.0
root=$cache/cargo-deb-$version
lock cargo-deb
if [ ! -x "$root/bin/cargo-deb" ]; then
  need cargo "it is a Rust program" "rustup, then 'rustup default stable'"
  say "Installing cargo-deb $version into $root (minutes)"
  CARGO_TARGET_DIR=$root.build cargo install --locked --quiet --root "$root.new" --version "$version" cargo-deb >&2 ||
    die "cargo-deb could not be installed: it needs the registry that your cargo is configured to use"
  rm -rf "$root.build"
  mv "$root.new" "$root"
fi
echo "$root/bin/cargo-deb"
