#!/usr/bin/env bash
# tests/deploy/systemd.sh: deploy/systemd in a booted systemd, against a real apiserver. Needs root, Debian's archive and
# about ten minutes. DOWN=30 shortens the time for which the apiserver is away at the start (default 300 s).
. "$(dirname "$0")/lib.sh"

down=${DOWN:-300}
unit=fetcher-baremetal
etc=/etc/$unit
need openssl "the fetcher gets a client certificate" openssl
need python3 "it answers for a provider that hangs, and reads JSON" python3
build
kubectl_program=$(tests/setup/control-plane.sh | sed -n 's/^kubectl=//p')

# --- around the guest: an apiserver, a NetBox, a provider that takes requests and never answers -------------------------

mkfifo "$work/plane.in" "$work/netbox.in"
"$built/plane" <"$work/plane.in" >"$work/plane.out" 2>"$work/plane.err" &
plane_pid=$!
exec 5>"$work/plane.in"
at_end 'exec 5>&-; wait $plane_pid'
"$built/fake_netbox" <"$work/netbox.in" >"$work/netbox.out" &
exec 6>"$work/netbox.in"
at_end 'exec 6>&-'
python3 -c 'import signal,socket; s=socket.create_server(("127.0.0.1",0)); print(s.getsockname()[1],flush=True); signal.pause()' >"$work/silent.out" &
silent_pid=$!
at_end 'kill $silent_pid'

lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
# plane COMMAND: told to the control plane, which answers when it is done.
plane() {
  local answers
  answers=$(wc -l <"$work/plane.out")
  printf '{"command":"%s"}\n' "$1" >&5
  within 120 lines "$work/plane.out" $((answers + 1))
  ! tail -n 1 "$work/plane.out" | grep -q '"error"'
}
netbox() {
  local answers
  answers=$(wc -l <"$work/netbox.out")
  printf '%s\n' "$*" >&6
  within 10 lines "$work/netbox.out" $((answers + 1))
}

say "Starting a control plane"
within 180 lines "$work/plane.out" 1 || die "no control plane: $(tail -n 5 "$work/plane.err")"
about() { head -n 1 "$work/plane.out" | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
pki=$(about pki)
kubectl() { "$kubectl_program" --kubeconfig "$(about kubeconfig)" --cache-dir "$work/kubectl" "$@"; }
{
  kubectl apply --server-side -f deploy/crds -f deploy/rbac
  kubectl create namespace fra1
  kubectl create rolebinding fetcher --namespace fra1 --clusterrole fetcher --user fetcher-fra1
} >&2
kubectl wait --for=condition=established --timeout=60s crd/hosts.inventory.fetcher.dev >&2

# --- what an administrator puts on the machine ----------------------------------------------------------------------------

token=nbt_ABCDEFGHIJKL.0123456789abcdefghijklmnopqrstuvwxyzABCD
netbox token $token
machines() { for n in $(seq "$1"); do printf -- '- {id: m%s, name: host%s}\n' "$n" "$n"; done | sed -e '1i machines:' -e '$a ...' >"$rootfs$etc/machines.yaml"; }

# configure [MORE]: the example configuration with this test's addresses, and more sources.
configure() {
  sed -e "s#https://inventory.example.net:6443#$(about url)#" -e "s#https://netbox.example.net#$(head -n 1 "$work/netbox.out")#" \
    -e 's/^schedule: .*/schedule: every 2s/' deploy/systemd/config.yaml >"$rootfs$etc/config.yaml"
  local source
  for source in "$@"; do printf '    - netbox: %s\n' "$source" >>"$rootfs$etc/config.yaml"; done
}
credential="token: {file: /run/credentials/$unit.service/netbox}"
dead="{name: dead, url: 'http://127.0.0.1:1', $credential}"
hanging="{name: hanging, url: 'http://127.0.0.1:$(cat "$work/silent.out")', $credential}"

furnish() {
  cp "$bin/$unit" "$rootfs/usr/bin/"
  cp deploy/systemd/*.service deploy/systemd/*.path "$rootfs/usr/lib/systemd/system/"
  mkdir -m 755 "$rootfs$etc"
  mkdir -m 700 "$rootfs$etc/credentials"
  local files=$rootfs$etc/credentials
  deploy/certificates/fleet-certificate request "$files" fetcher-fra1 |
    python3 -c 'import base64,json,sys; sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["spec"]["request"]))' >"$work/csr"
  openssl x509 -req -in "$work/csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAserial "$work/serial" -CAcreateserial -days 1 \
    -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null | deploy/certificates/fleet-certificate install "$files"
  cp "$pki/ca.crt" "$files/"
  about url >"$files/server"
  printf '%s\n' $token >"$files/netbox"
  chmod 600 "$files"/{ca.crt,server,netbox}
  renewals
  machines 20
  configure "$dead" "$hanging"
  ln -s "/usr/lib/systemd/system/$unit.service" "$rootfs/etc/systemd/system/multi-user.target.wants/"
  # Shorter than the first attempt takes: only a start-up that is prolonged gets through.
  mkdir "$rootfs/etc/systemd/system/$unit.service.d"
  printf '[Service]\nTimeoutStartSec=5\n' >"$rootfs/etc/systemd/system/$unit.service.d/test.conf"
}

# renewals: what renews certificates on both sides; the fetcher's machine is the control plane's too.
renewals() {
  cp deploy/certificates/fleet-certificate "$kubectl_program" "$rootfs/usr/local/bin/"
  cp deploy/certificates/*@.* deploy/control-plane/fleet-approve-renewals.* "$rootfs/usr/lib/systemd/system/"
  install -D -t "$rootfs/usr/local/lib/fleet-control-plane" deploy/control-plane/approve-renewals.sh
  useradd --root "$rootfs" --system fleet-certificate-approver
  install -d "$rootfs/etc/fleet-control-plane"
  echo FLEET_PKI=/etc/fleet-control-plane >"$rootfs/etc/fleet-control-plane/control-plane.env"
  kubectl config view --raw --flatten >"$rootfs/etc/fleet-control-plane/certificate-approver.kubeconfig"
}

hosts() { kubectl get hosts --namespace fra1 -o jsonpath='{range .items[*]}{.metadata.name} {.status.state}{"\n"}{end}' "$@"; }
count() { [ "$(hosts | grep -vc ' Gone$')" = "$1" ] || { hosts; false; }; }
gone() { [ "$(hosts | grep -c ' Gone$')" = "$1" ] || { hosts; false; }; }
log() { in_guest journalctl -u "$1" --no-pager -o cat; }
says() {
  log "$1" >"$work/log"
  grep -qE "$2" "$work/log" || { tail -n 15 "$work/log"; false; }
}
active() { is $unit ActiveState active; }
status() { property $unit StatusText; }

# --- 1: a start without an apiserver, with a dead provider and one that hangs ----------------------------------------

plane stop-apiserver
boot furnish
began=$SECONDS
check "it is started at boot, by the enabled unit" within 30 says $unit 'begins'
pid=$(property $unit MainPID)
say "The apiserver stays away for $down s"
check "it is ready, well or badly: $(status)" within 60 active
stamp() { property $unit "$1TimestampMonotonic"; }
took=$((($(stamp ActiveEnter) - $(stamp InactiveExit)) / 1000000))
check "which took longer ($took s) than the start-up timeout of 5 s: the fetcher has prolonged it" test "$took" -gt 5
while [ $((SECONDS - began)) -lt "$down" ]; do sleep 1; done
check "after $((SECONDS - began)) s without an apiserver it has not been restarted once" is $unit NRestarts 0
check "it is the same process" is $unit MainPID "$pid"
plane start-apiserver
check "with the apiserver back, the machines of the living sources are Hosts" within 120 count 23
check "still without a restart" is $unit NRestarts 0
check "still the same process" is $unit MainPID "$pid"
printf '        status: %s\n' "$(status)"
check "and active, though one provider is dead and one hangs" active
check "the status text tells the last round's counts" grep -qE '[0-9]+ sources, [0-9]+ failed; .*unchanged' <(status)

# --- 2: protection ---------------------------------------------------------------------------------------------------

uid=$(in_guest stat -c %u "/proc/$pid")
check "it runs as a dynamic user ($uid)" test "$uid" -ge 61184
field() { in_guest grep "^$1:" "/proc/$pid/status" | cut -f 2; }
check "without capabilities, without new privileges, with a filter of system calls" \
  test "$(field CapEff) $(field NoNewPrivs) $(field Seccomp)" = "0000000000000000 1 2"
touches() { in_guest nsenter -t "$(in_guest pgrep -x "$unit" 2>/dev/null || echo "$1")" -m -- touch "$2/probe"; }
for folder in /etc /usr /var /var/lib /home /root; do
  check "the file system it sees is read-only: $folder" not touches "$pid" $folder
done
check "others cannot read its credentials" not in_guest setpriv --reuid 65534 --clear-groups cat "/run/credentials/$unit.service/tls.key"

# --- 3: a failed round -----------------------------------------------------------------------------------------------

netbox token nbt_ABCDEFGHIJKL.rotatedrotatedrotatedrotatedrotatedrotat
check "a refused token fails the round of that source, and says so" within 60 says $unit '403 Forbidden.* source=baremetal-netbox-dc1'
check "the service goes on, without a restart" is $unit NRestarts 0
check "and takes no machine away" count 23

# --- 4: a rotated token ----------------------------------------------------------------------------------------------

configure "$dead"
netbox devices 4
began=$SECONDS
printf '%s\n' nbt_ABCDEFGHIJKL.rotatedrotatedrotatedrotatedrotatedrotat >"$rootfs$etc/credentials/.netbox.new"
chmod 600 "$rootfs$etc/credentials/.netbox.new"
mv "$rootfs$etc/credentials/.netbox.new" "$rootfs$etc/credentials/netbox"
check "a rotated token is in use within 60 s" within 60 count 24
printf '        it took %s s\n' $((SECONDS - began))
check "it is ready again" within 90 active

# --- 5: by hand, beside the daemon -------------------------------------------------------------------------------------

check "a run by hand beside the daemon fails for the dead provider alone" not in_guest systemctl start $unit-once
check "it has the same credentials" says $unit-once 'baremetal-dc1.*complete|dc1.* 4 listed'
machines 10
check "ten machines of twenty at once are withheld" within 60 says $unit 'Marks are withheld'
in_guest systemctl start $unit-once 2>/dev/null || true
checksum=$(log $unit-once | grep -oE -- '--approve [0-9a-f]{12}' | tail -n 1 | cut -d ' ' -f 2) || true
check "a run by hand shows the checksum (${checksum:-none})" test -n "$checksum"
in_guest systemctl start "$unit-once@$checksum" 2>/dev/null || true
check "an approval by hand lets them pass" within 30 gone 10

# --- 6: a certificate that renews itself -----------------------------------------------------------------------------------

renew=fleet-certificate-renew@baremetal
serial() { openssl x509 -in "$rootfs$etc/credentials/tls.crt" -noout -serial; }
ended() { is "$1" ActiveState inactive && is "$1" Result success; }
plane start-controller-manager
before=$(serial)
pid=$(property $unit MainPID)
check "a certificate that is not due is left alone, by its unit" in_guest systemctl start $renew
check "and says until when" says $renew 'Nothing to do before'
check "it is the same one" test "$(serial)" = "$before"
mkdir "$rootfs/etc/systemd/system/$renew.service.d"
printf '[Service]\nExecStart=\nExecStart=/usr/local/bin/fleet-certificate renew /etc/fetcher-%%i/credentials now\n' \
  >"$rootfs/etc/systemd/system/$renew.service.d/test.conf"
in_guest systemctl daemon-reload
in_guest systemctl --no-block start $renew
renewed() { in_guest systemctl start fleet-approve-renewals && [ "$(serial)" != "$before" ]; }
check "one that is due is asked for by its unit, and approved by the other one" within 90 renewed
check "which names whom" says fleet-approve-renewals 'Approved renewal-.* of "?fetcher-fra1'
check "the unit has ended well" within 30 ended $renew
anew() { [ "$(property $unit MainPID)" != "$pid" ] && active; }
check "the fetcher has begun anew with it" within 60 anew
machines 12
check "and writes with it: two machines have come back" within 60 count 16

# --- 7: a hang ---------------------------------------------------------------------------------------------------------

printf '[Service]\nWatchdogSec=10\n' >"$rootfs/etc/systemd/system/$unit.service.d/test.conf"
in_guest systemctl daemon-reload
in_guest systemctl restart $unit
check "ready with a watchdog of 10 s" within 90 active
sleep 15
check "which is fed" is $unit NRestarts 0
in_guest systemctl kill -s STOP $unit
restarted() { [ "$(property $unit NRestarts)" = 1 ] && active; }
check "a process that hangs is ended by the watchdog and started again" within 90 restarted
check "the journal names the watchdog" says $unit "Failed with result 'watchdog'"

# --- 8: the end --------------------------------------------------------------------------------------------------------

configure "$hanging"
in_guest systemctl --no-block restart $unit
hangs() { status | grep 'baremetal-netbox-hanging among them'; }
check "one source hangs in its first attempt: $(within 60 hangs)" hangs
began=$SECONDS
check "it stops" in_guest systemctl stop $unit
took=$((SECONDS - began))
check "within its deadline of 45 s, while a round hangs ($took s)" test "$took" -le 45
check "by itself" is $unit Result success
outside() { in_guest find / -xdev -uid "$uid" -not -path '/var/lib/private/*' -not -path '/proc/*' | grep . ; }
check "nothing outside its state directory is its own" not outside
newer() { find "$rootfs/etc" "$rootfs/usr" "$rootfs/home" "$rootfs/root" "$rootfs/srv" "$rootfs/opt" -newer "$work/boot.log" -type f | grep -v "$etc/\|systemd/system/" ; }
check "and nothing that was there has changed" not newer

result
