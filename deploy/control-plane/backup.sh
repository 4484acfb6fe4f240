#!/usr/bin/env bash
# backup.sh FILE [FOLDER]: saves etcd to FILE while everything runs. FOLDER (default /etc/fleet-control-plane) holds
# control-plane.env. FILE appears whole or not at all, and holds every secret of the inventory: keep it like a key.
set -euo pipefail
umask 077
file=${1:?usage: backup.sh FILE [FOLDER]}
# shellcheck disable=SC1091
. "${2:-/etc/fleet-control-plane}/control-plane.env"
trap 'rm -f "$file.part" "$file.part.part"' EXIT
etcdctl --endpoints "https://$FLEET_ETCD" --cacert "$FLEET_PKI/etcd-ca.crt" \
  --cert "$FLEET_PKI/apiserver-etcd.crt" --key "$FLEET_PKI/apiserver-etcd.key" snapshot save "$file.part" >/dev/null
mv "$file.part" "$file"
printf 'Saved %s\n' "$file"
