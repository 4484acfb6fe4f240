#!/usr/bin/env bash
# certificates.sh [FOLDER]: makes what is missing of the control plane's keys and certificates in FLEET_PKI, and makes
# anew what ends within four months. FOLDER (default /etc/fleet-control-plane) holds control-plane.env.
#
# Two authorities that last ten years and are never made anew; everything else lasts one year. Keys are P-256. As root
# it gives each key to the user of the one unit that needs it. Not for fetchers: theirs come through the apiserver.
set -euo pipefail
umask 077
config=${1:-/etc/fleet-control-plane}
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
command -v openssl >/dev/null || die "openssl is missing: install it with 'apt-get install openssl'"
[ -r "$config/control-plane.env" ] || die "$config/control-plane.env cannot be read: copy deploy/control-plane there and edit it"
# shellcheck disable=SC1091
. "$config/control-plane.env"
mkdir -p "$FLEET_PKI"
chmod 755 "$FLEET_PKI"
cd "$FLEET_PKI"

renew_within=$((120 * 86400))
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256)
# The system's openssl.cnf may add what we have not asked for.
plain=$'[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n'

# authority NAME
authority() {
  if [ -e "$1.key" ]; then
    openssl x509 -in "$1.crt" -noout -checkend $((365 * 86400)) >/dev/null || say "warning: $FLEET_PKI/$1.crt ends within a year: plan its replacement"
    return
  fi
  openssl req -x509 "${curve[@]}" -days 3650 -subj "/CN=fleet-$1" -keyout "$1.key" -out "$1.crt" \
    -config <(printf '%sextensions=x\n[x]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectKeyIdentifier=hash\n' "$plain") -extensions x 2>/dev/null
  say "Made the authority $1"
}

# certificate NAME AUTHORITY SUBJECT USAGES [ALTERNATIVE_NAMES]; true when it was made
certificate() {
  [ -e "$1.key" ] && openssl x509 -in "$1.crt" -noout -checkend "$renew_within" >/dev/null 2>&1 && return 1
  openssl req -new "${curve[@]}" -subj "$3" -keyout "$1.key.new" -out "$1.csr" -config <(printf '%s' "$plain") 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 16)" -days 365 -sha256 -out "$1.crt.new" \
    -extfile <(printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nauthorityKeyIdentifier=keyid\n%s\n' "$4" "${5:+subjectAltName=$5}") 2>/dev/null
  mv "$1.key.new" "$1.key"
  mv "$1.crt.new" "$1.crt"
  rm "$1.csr"
  say "Made $1"
}

# kubeconfig NAME SUBJECT: a client of the apiserver, with everything in one file
kubeconfig() {
  certificate "$1" ca "$2" clientAuth || [ ! -e "$1.kubeconfig" ] || return 0
  data() { base64 <"$1" | tr -d '\n'; }
  cat >"$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: inventory, cluster: {server: "https://$FLEET_ADDRESS:$FLEET_PORT", certificate-authority-data: $(data ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(data "$1.crt"), client-key-data: $(data "$1.key")}}]
contexts: [{name: inventory, context: {cluster: inventory, user: $1}}]
current-context: inventory
END
}

# own USER[:GROUP] MODE FILE...: as root, and where the user exists
own() {
  local owner=$1 mode=$2
  shift 2
  chmod "$mode" "$@"
  [ "$(id -u)" != 0 ] || ! id "${owner%%:*}" >/dev/null 2>&1 || chown "$owner" "$@"
}

etcd_names="DNS:localhost,IP:127.0.0.1,IP:${FLEET_ETCD%:*}"
names="DNS:localhost,IP:127.0.0.1,IP:10.0.0.1,IP:$FLEET_ADDRESS"
for name in ${FLEET_NAMES:-}; do names+=",DNS:$name"; done

authority ca
authority etcd-ca
certificate apiserver ca /CN=kube-apiserver serverAuth "$names" || true
certificate etcd etcd-ca /CN=etcd serverAuth,clientAuth "$etcd_names" || true
certificate apiserver-etcd etcd-ca /CN=kube-apiserver-etcd clientAuth || true
kubeconfig admin /O=system:masters/CN=admin
kubeconfig controller-manager /CN=system:kube-controller-manager
kubeconfig certificate-approver /CN=fleet-certificate-approver
if [ ! -e service-account.key ]; then
  openssl ecparam -name prime256v1 -genkey -noout -out service-account.key
  openssl ec -in service-account.key -pubout -out service-account.pub 2>/dev/null
fi

chmod 644 ./*.crt ./*.pub
own fleet-etcd 600 etcd.key
own fleet-apiserver 600 apiserver.key apiserver-etcd.key
own fleet-apiserver:fleet-controller-manager 640 service-account.key
own fleet-controller-manager 600 ca.key controller-manager.key controller-manager.kubeconfig
own fleet-certificate-approver 600 certificate-approver.key certificate-approver.kubeconfig
