#!/usr/bin/env bash
# tests/deploy/packages.sh: the four packages, made by cargo-deb from binaries that are built, then installed, configured,
# upgraded and purged in a booted Debian. Needs root, Debian's archive, and some minutes.
#
# FETCHER_BIN names the folder of the binaries; without it deploy/build.sh makes them.
. "$(dirname "$0")/lib.sh"

need dpkg-shlibdeps "it finds out which libraries a package depends on" dpkg-dev
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
providers="aws baremetal cloudforms packet"
if [ -z "${FETCHER_BIN:-}" ]; then
  say "Building the binaries (the first time takes half an hour)"
  FETCHER_BIN=$(deploy/build.sh)
fi
cargo_deb=$(tests/setup/cargo-deb.sh)
# cargo-deb takes binaries out of a target folder alone.
mkdir -p "$work/target/dist" "$work/debs"
for provider in $providers; do cp "$FETCHER_BIN/fetcher-$provider" "$work/target/dist/"; done

# make_package PROVIDER REVISION
make_package() {
  CARGO_TARGET_DIR=$work/target "$cargo_deb" deb --quiet --no-build --no-strip --locked --profile dist -p "fetcher-$1" \
    --deb-revision "$2" --output "$work/debs/"
}
furnish() { mkdir "$rootfs/debs"; cp "$work"/debs/*.deb "$rootfs/debs/"; }

for provider in $providers; do check "fetcher-$provider: the package is made" make_package "$provider" 1; done
check "and one of the next revision" make_package baremetal 2
boot furnish

deb() { in_guest sh -c "dpkg -i /debs/fetcher-$1_*-${2:-1}_*.deb"; }
for provider in $providers; do
  unit=fetcher-$provider
  check "$unit: it is installed, its dependencies met" deb "$provider"
  check "$unit: the binary runs" in_guest "$unit" --version
  check "$unit: nothing is started" is "$unit" ActiveState inactive
  check "$unit: systemd finds nothing wrong with its units" in_guest systemd-analyze verify --man=no --recursive-errors=no "$unit.service" "$unit-once.service" "$unit-once@.service"
  check "$unit: the folder of its credentials is root's alone" test "$(in_guest stat -c '%U %a' /etc/$unit/credentials)" = "root 700"
done

# --- one of them, configured --------------------------------------------------------------------------------------------

unit=fetcher-baremetal
check "without a configuration the service is skipped, not failed" in_guest systemctl enable --now $unit
check "and stays inactive" is $unit ActiveState inactive
cp deploy/examples/machines.yaml "$rootfs/etc/$unit/"
cat >"$rootfs/etc/$unit/config.yaml" <<'YAML'
schedule: every 2s
store: {file: {path: /var/lib/fetcher-baremetal/inventory.json}}
baremetal: {sources: [{file: {name: fra1, path: /etc/fetcher-baremetal/machines.yaml}}]}
YAML
check "configured, it starts" in_guest systemctl start $unit
check "and is ready" within 60 is $unit ActiveState active
inventory() { in_guest grep -q '"kind": *"Host"' /var/lib/private/$unit/inventory.json; }
check "the inventory is in its state directory" within 30 inventory
pid=$(property $unit MainPID)
check "an upgrade" deb baremetal 2
new() { [ "$(property $unit MainPID)" != "$pid" ] && is $unit ActiveState active; }
check "goes on with the new binary, without being asked" within 60 new
check "and with the configuration" in_guest test -e /etc/$unit/config.yaml
check "a removal" in_guest dpkg -r $unit
check "stops it" is $unit ActiveState inactive
check "and keeps configuration and inventory" in_guest test -e /etc/$unit/config.yaml -a -e /var/lib/private/$unit/inventory.json
for service in $unit $unit-once $unit-once@; do
  mkdir -p "$rootfs/etc/systemd/system/$service.service.d"
  printf '[Service]\nLoadCredential=netbox-2:/etc/%s/credentials/netbox-2\n' $unit >"$rootfs/etc/systemd/system/$service.service.d/override.conf"
done
for provider in $providers; do check "fetcher-$provider: a purge" in_guest dpkg -P "fetcher-$provider"; done
left() { in_guest find /etc /usr /var -xdev -name '*fetcher-*' -not -path '/var/log/*' | grep .; }
check "leaves nothing behind" not left
check "and no unit failed" test -z "$(in_guest systemctl list-units --failed --no-legend 'fetcher*')"

result
