# Shared by the scripts that bring up a control plane of their own from deploy/control-plane, on loopback: in the folder
# $work, with own certificates, on free ports; ended in order by its process ids, however the script ends.
# Sourced, never run. For tests in Rust there is fetcher_tests::plane instead.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

deploy=$tests/../deploy
need openssl "certificates" openssl
need curl "renewal of certificates" curl
need python3 "free ports" python3

work=$(mktemp -d "${TMPDIR:-/tmp}/fleet-plane.XXXXXX")
# Started last, ended first.
pids=()
down() {
  local code=$? pid
  trap - EXIT INT TERM
  set +e
  if [ "$code" != 0 ]; then
    for log in "$work"/*.log; do [ -e "$log" ] && [ "$log" != "$work/audit.log" ] && say "--- ${log##*/}" && tail -n 15 "$log" >&2; done
  fi
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null
    # An answer within half a minute, or the hard way.
    for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  rm -rf "$work"
  exit "$code"
}
trap down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# begin NAME COMMAND...: starts it in the background; what it says goes to NAME.log
begin() {
  local name=$1
  shift
  "$@" >>"$work/$name.log" 2>&1 </dev/null &
  pids=("$!" "${pids[@]}")
  started=$!
}

# wait_for WHAT COMMAND...: until the command succeeds; gives up after three minutes
wait_for() {
  local what=$1 end=$((SECONDS + 180))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "waited in vain: $what"
    for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || die "a server has ended while waiting: $what"; done
    sleep 0.1
  done
}

# Below the range that the system takes for outgoing connections.
free_ports() {
  python3 - "$1" <<'END'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(12000, 32000)))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
END
}

# settings: $work/etc as /etc/fleet-control-plane would be on this machine
settings() {
  local api etcd peer
  read -r api etcd peer < <(free_ports 3)
  mkdir "$work/etc"
  cp "$deploy"/control-plane/*.env "$deploy"/control-plane/audit-policy.yaml "$work/etc"
  # The last one counts, for systemd and for a shell.
  cat >>"$work/etc/control-plane.env" <<END
FLEET_ADDRESS=127.0.0.1
FLEET_BIND=127.0.0.1
FLEET_PORT=$api
FLEET_CONFIG=$work/etc
FLEET_PKI=$work/etc/pki
FLEET_ETCD=127.0.0.1:$etcd
FLEET_ETCD_PEER=127.0.0.1:$peer
FLEET_ETCD_DATA=$work/etcd
FLEET_AUDIT_LOG=$work/audit.log
END
  server=https://127.0.0.1:$api
}

# control_plane UNIT...: starts these, in this order
control_plane() {
  for unit in "$@"; do begin "$unit" bash "$deploy/control-plane/start.sh" "$unit" "$work/etc"; done
}

# served: whether Hosts are; their schema comes a moment after the CRD is established
served() { kubectl get --raw /openapi/v3/apis/inventory.fetcher.dev/v1 && kubectl get hosts; }

programs=$(bash "$tests/setup/control-plane.sh")
for program in etcd etcdctl etcdutl kube-apiserver kube-controller-manager kubectl; do
  path=$(sed -n "s/^$program=//p" <<<"$programs")
  PATH=${path%/*}:$PATH
done
export PATH KUBECONFIG=$work/etc/pki/admin.kubeconfig KUBECACHEDIR=$work/kubectl-cache
