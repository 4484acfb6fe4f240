#!/usr/bin/env bash
# debian.sh: a small Debian in a folder (systemd, buildah) and systemd-nspawn to boot it. Prints rootfs=DIR and nspawn=PROGRAM.
#
# For the scripts in tests/deploy. Made once, in the cache; they work on copies. The tools are unpacked there and not
# installed: an `apt-get install systemd-container` would upgrade the systemd that this machine runs on.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || die "a root file system is made and booted by root only: run this as root, on a machine that may mount"
need apt-get "the tools and the root file system come from Debian's archive: run this on Debian" apt
need dpkg-deb "the tools are unpacked with it" dpkg

packages=systemd,systemd-sysv,dbus,ca-certificates,openssl,curl
suite=bookworm
dir=$cache/debian-$(printf '%s %s' "$suite" "$packages" | sha256sum | cut -c1-12)
tools=$dir/tools

lock debian
if [ ! -e "$dir/complete" ]; then
  rm -rf "$dir"
  mkdir -p "$tools/deb"
  say "Unpacking systemd-nspawn and debootstrap into $tools"
  (cd "$tools/deb" && apt-get download systemd-container libsystemd-shared debootstrap >&2) ||
    die "the tools cannot be downloaded: run 'apt-get update' first, or mend the sources in /etc/apt"
  for deb in "$tools"/deb/*.deb; do dpkg-deb -x "$deb" "$tools"; done
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' "Codename: $suite" | sort -u | head -1)
  [ -n "$mirror" ] || die "apt knows no mirror of Debian $suite: add one to /etc/apt/sources.list"
  say "Bootstrapping Debian $suite from $mirror (two minutes)"
  DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap sh "$tools/usr/sbin/debootstrap" --variant=minbase --include="$packages" \
    "$suite" "$dir/rootfs" "$mirror" >"$dir/debootstrap.log" 2>&1 || die "debootstrap failed, see $dir/debootstrap.log"
  # Not by debootstrap, which cannot choose between alternatives; its dependencies would not be met.
  say "Installing buildah in it"
  cp /etc/resolv.conf "$dir/rootfs/etc/resolv.conf"
  chroot "$dir/rootfs" sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends buildah && apt-get clean' \
    >"$dir/buildah.log" 2>&1 || die "buildah could not be installed, see $dir/buildah.log"
  # Without it, a boot's journal is gone with the boot.
  mkdir -p "$dir/rootfs/var/log/journal"
  rm -rf "$dir"/rootfs/var/cache/apt/archives/*.deb
  touch "$dir/complete"
fi
echo "rootfs=$dir/rootfs"
echo "nspawn=$tools/usr/bin/systemd-nspawn"
echo "libraries=$tools/usr/lib/$(uname -m)-linux-gnu/systemd"
