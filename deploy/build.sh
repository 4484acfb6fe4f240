#!/usr/bin/env bash
# deploy/build.sh [PROVIDER...]: the binaries that packages and images hold, all four where none is named. Prints their
# folder. Half the size of `cargo build --release`, for minutes more of it.
#
# What cargo's profiles cannot say: no tables for unwinding, which nothing does (a panic aborts); functions that came
# out alike are one; relocations in the short form, which wants glibc 2.36 (2022) at least.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- aws baremetal cloudforms packet
# With a target named, what runs at build time only is compiled without these flags, as it has to be.
target=$(rustc --print host-tuple)
export RUSTFLAGS="${RUSTFLAGS:-} -C force-unwind-tables=no -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs"
folder=${CARGO_TARGET_DIR:-target}/$target
for provider; do
  # Link-time optimisation of the AWS SDK takes half an hour.
  profile=dist
  [ "$provider" != aws ] || profile=dist-aws
  cargo build --profile "$profile" --locked --target "$target" -p "fetcher-$provider" >&2
  mkdir -p "$folder/packaged"
  cp "$folder/$profile/fetcher-$provider" "$folder/packaged/"
done
echo "$folder/packaged"
