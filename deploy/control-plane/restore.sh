#!/usr/bin/env bash
# restore.sh FILE [FOLDER]: puts what backup.sh saved in the place of etcd's data. Every apiserver and etcd must be stopped.
#
# The revision is raised far above any that clients have seen, and everything before it counts as compacted: otherwise
# revisions are issued a second time, and a watch from before the restore never sees what comes after it.
# The data of before stay beside, in FLEET_ETCD_DATA.before-<time>.
set -euo pipefail
file=${1:?usage: restore.sh FILE [FOLDER]}
# shellcheck disable=SC1091
. "${2:-/etc/fleet-control-plane}/control-plane.env"
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

listens() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }
[ -r "$file" ] || die "$file cannot be read"
! listens "$FLEET_ADDRESS:$FLEET_PORT" && ! listens "127.0.0.1:$FLEET_PORT" ||
  die "an apiserver answers on port $FLEET_PORT and would go on telling the old story: systemctl stop kube-controller-manager kube-apiserver, on every machine that runs one"
! listens "$FLEET_ETCD" || die "etcd answers on $FLEET_ETCD: systemctl stop etcd"

new=$FLEET_ETCD_DATA.restored
rm -rf "$new"
etcdutl snapshot restore "$file" --data-dir "$new" --name fleet \
  --initial-cluster "fleet=https://$FLEET_ETCD_PEER" --initial-advertise-peer-urls "https://$FLEET_ETCD_PEER" \
  --bump-revision 1000000000 --mark-compacted
[ ! -e "$FLEET_ETCD_DATA" ] || {
  [ "$(id -u)" != 0 ] || chown -R --reference="$FLEET_ETCD_DATA" "$new"
  mv "$FLEET_ETCD_DATA" "$FLEET_ETCD_DATA.before-$(date -u +%Y%m%dT%H%M%SZ)"
}
mv "$new" "$FLEET_ETCD_DATA"
