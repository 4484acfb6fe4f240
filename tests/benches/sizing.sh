#!/usr/bin/env bash
# sizing.sh [HOSTS...]: what a control plane needs to hold so many Hosts (default 1000 10000 50000): memory of apiserver
# and etcd, disk, and how long the writes took. Prints the rows of the table in deploy/control-plane/README.md.
#
# FETCHER names a release build of fetcher-baremetal; without it cargo makes one. GOMEMLIMIT (default off) is the
# apiserver's. One control plane for all sizes: each adds to the one before, as an inventory grows.
. "$(dirname "${BASH_SOURCE[0]}")/../setup/plane.sh"
sizes=("$@")
[ "$#" -gt 0 ] || sizes=(1000 10000 50000)
fetcher=${FETCHER:-}
if [ -z "$fetcher" ]; then
  cargo build --quiet --release --manifest-path "$tests/../Cargo.toml" -p fetcher-baremetal
  fetcher=$(cargo metadata --manifest-path "$tests/../Cargo.toml" --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/fetcher-baremetal
fi

settings
echo "GOMEMLIMIT=${GOMEMLIMIT:-off}" >"$work/etc/kube-apiserver.env"
bash "$deploy/control-plane/certificates.sh" "$work/etc" 2>/dev/null
control_plane etcd
etcd=$started
control_plane kube-apiserver
apiserver=$started
wait_for "the apiserver is ready" kubectl get --raw /readyz
kubectl apply --server-side -f "$deploy/crds" -f "$deploy/rbac" >/dev/null 2>&1
wait_for "Hosts are served" served
kubectl create namespace sizing >/dev/null
cat >"$work/fleet.yaml" <<END
selector: ""
labels: {tags: [team, env]}
store: {kubernetes: {namespace: sizing, kubeconfig: $KUBECONFIG, context: inventory}}
baremetal: {sources: [{file: {name: sizing, path: $work/machines.json}}]}
END

# machines N: a list as a data centre would have it
machines() {
  python3 - "$1" >"$work/machines.json" <<'END'
import json, sys
print(json.dumps({"machines": [{
    "id": f"a-{n:06}", "name": f"node-{n:06}.fra1.example.net", "state": "Running", "providerState": "active", "role": "worker",
    "addresses": [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", {"type": "ManagementIP", "address": f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"}],
    "region": "eu-central", "site": "fra1", "rack": f"r{n // 40:04}", "position": f"u{n % 40 + 1}",
    "hardware": {"type": "web-g3", "vendor": "Dell Inc.", "model": "PowerEdge R660", "architecture": "x86_64", "cpus": 64, "memory": "256GiB", "serial": f"S{n:07}", "disks": ["2x 480GB SSD"]},
    "os": {"name": "Ubuntu", "version": "24.04"}, "owner": {"tenant": "platform"},
    "interfaces": [{"name": "eno1", "mac": f"b0:7b:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}:01"}],
    "tags": {"env": "prod", "team": "container-fabric", "rack-row": f"row-{n // 400}"}} for n in range(int(sys.argv[1]))]}))
END
}
# mebibytes FIELD PID
mebibytes() { awk -v field="$1:" '$1 == field { printf "%d", $2 / 1024 }' "/proc/$2/status"; }
before=0
printf '| Hosts | written in | apiserver after the writes | at its peak, with lists | etcd | disk |\n|---|---|---|---|---|---|\n'
for size in "${sizes[@]}"; do
  machines "$size"
  begin=$(date +%s)
  "$fetcher" --once --config "$work/fleet.yaml" --log-level warn >"$work/run.log" 2>&1 || { cat "$work/run.log" >&2; die "the fetcher failed"; }
  took=$(($(date +%s) - begin))
  written=$(mebibytes VmRSS "$apiserver")
  # What a day brings: two runs with --once (paged lists), and somebody's kubectl.
  for _ in 1 2; do "$fetcher" --once --config "$work/fleet.yaml" >/dev/null 2>&1; done
  kubectl get hosts --all-namespaces --chunk-size=0 -o name | wc -l >"$work/count"
  [ "$(cat "$work/count")" = "$size" ] || die "$(cat "$work/count") Hosts instead of $size"
  printf '| %d | %d s (%d new) | %d MiB | %d MiB | %d MiB | %d MiB |\n' "$size" "$took" $((size - before)) "$written" \
    "$(mebibytes VmHWM "$apiserver")" "$(mebibytes VmRSS "$etcd")" "$(du -sm "$work/etcd" | cut -f1)"
  before=$size
done
