#!/usr/bin/env bash
# story.sh: the whole way once, in a temporary folder, on loopback, in less than a minute: a control plane from
# deploy/control-plane, a new data centre that joins in three commands, its fetcher as a daemon, a machine that goes and
# comes back, backup, and a renewed certificate; then everything down again. Ends with 0 if all of it was so.
#
# FETCHER names a fetcher-baremetal that is built already; without it cargo builds one.
. "$(dirname "${BASH_SOURCE[0]}")/setup/plane.sh"
chapter() { printf '\n# %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }

fetcher=${FETCHER:-}
if [ -z "$fetcher" ]; then
  need cargo "the fetcher is Rust" "rustup, then 'rustup default stable'"
  cargo build --quiet --manifest-path "$tests/../Cargo.toml" -p fetcher-baremetal
  fetcher=$(cargo metadata --manifest-path "$tests/../Cargo.toml" --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug/fetcher-baremetal
fi

chapter "A control plane from nothing"
settings
show bash "$deploy/control-plane/certificates.sh" "$work/etc"
control_plane etcd kube-apiserver kube-controller-manager
wait_for "the apiserver is ready" kubectl get --raw /readyz
show kubectl apply --server-side -f "$deploy/crds" -f "$deploy/rbac"
wait_for "Hosts are served" served
show kubectl create namespace fra1

chapter "A data centre joins: a request from there, an approval, a RoleBinding"
there=$work/fra1
certificate=$deploy/certificates/fleet-certificate
bash "$certificate" request "$there" fetcher-fra1 >"$work/request.json"
show kubectl create -f "$work/request.json"
show kubectl certificate approve fetcher-fra1
show kubectl create rolebinding fetcher --namespace fra1 --clusterrole fetcher --user fetcher-fra1
is_signed() { [ -n "$(kubectl get csr fetcher-fra1 -o jsonpath='{.status.certificate}')" ]; }
wait_for "the certificate is signed" is_signed
kubectl get csr fetcher-fra1 -o jsonpath='{.status.certificate}' | openssl base64 -A -d | bash "$certificate" install "$there"
cp "$work/etc/pki/ca.crt" "$there/ca.crt"
echo "$server" >"$there/server"

chapter "Its fetcher, as a daemon"
machines() { { echo machines:; for n in "$@"; do echo "- {id: m$n, name: host$n, state: Running, addresses: [10.0.0.$n], tags: {env: prod}}"; done; echo ...; } >"$work/new.yaml" && mv "$work/new.yaml" "$work/machines.yaml"; }
machines 1 2 3 4
cat >"$work/fleet.yaml" <<END
schedule: every 1s
selector: env=prod
store: {kubernetes: {namespace: fra1, server: "$server", caFile: $there/ca.crt, certFile: $there/tls.crt, keyFile: $there/tls.key}}
baremetal: {sources: [{file: {name: fra1, path: $work/machines.yaml}}]}
END
# The apiserver's authoriser learns of a new binding a moment after it was stored.
wait_for "the fetcher has what it needs" "$fetcher" check --config "$work/fleet.yaml"
show "$fetcher" check --config "$work/fleet.yaml"
begin fetcher "$fetcher" --config "$work/fleet.yaml"
states() { kubectl get hosts --namespace fra1 -o jsonpath='{range .items[*]}{.spec.machineID}={.status.state} {end}'; }
are() { [ "$(states)" = "$1" ]; }
wait_for "four Hosts" are "m1=Running m2=Running m3=Running m4=Running "
show kubectl get hosts --namespace fra1
uid=$(kubectl get hosts --namespace fra1 --field-selector spec.machineID=m3 -o jsonpath='{.items[0].metadata.uid}')

chapter "A machine goes, and comes back as the same Host"
machines 1 2 4
wait_for "m3 is marked gone" are "m1=Running m2=Running m3=Gone m4=Running "
show kubectl get hosts --namespace fra1 -o wide
machines 1 2 3 4
wait_for "m3 is back" are "m1=Running m2=Running m3=Running m4=Running "
[ "$uid" = "$(kubectl get hosts --namespace fra1 --field-selector spec.machineID=m3 -o jsonpath='{.items[0].metadata.uid}')" ] || die "m3 came back as another Host"

chapter "The certificate is renewed, and a backup made, while it runs"
FLEET_PATIENCE=60 bash "$certificate" renew "$there" now 2>"$work/renewal.log" &
renewal=$!
is_pending() { kubectl get csr | grep -q 'renewal-.*Pending'; }
wait_for "the renewal is asked for" is_pending
show bash "$deploy/control-plane/approve-renewals.sh" "$work/etc/pki/certificate-approver.kubeconfig"
wait "$renewal" || { cat "$work/renewal.log"; die "the renewal failed"; }
cat "$work/renewal.log"
show bash "$deploy/control-plane/backup.sh" "$work/inventory.db" "$work/etc"
machines 1 2 3 4 5
wait_for "a fifth Host" are "m1=Running m2=Running m3=Running m4=Running m5=Running "

chapter "Everything down again"
