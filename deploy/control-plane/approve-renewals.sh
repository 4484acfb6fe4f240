#!/usr/bin/env bash
# approve-renewals.sh KUBECONFIG: approves the CertificateSigningRequests that ask for nothing new, once through the list.
#
# Nothing new: signer kubernetes.io/kube-apiserver-client, usage client auth and no other, and a request whose subject is
# the requester, user name and groups, with no extension and no attribute. Names with a colon (system:…) are never renewed
# here. Whatever else there is stays as it is, for a person. The approval holds for the very object that was looked at.
set -euo pipefail
export KUBECONFIG=${1:?usage: approve-renewals.sh KUBECONFIG}
for program in openssl kubectl; do
  command -v "$program" >/dev/null || { printf 'error: %s is missing\n' "$program" >&2; exit 1; }
done
plain='^[A-Za-z0-9][A-Za-z0-9._-]*$'
us=$'\x1f'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# subject_of FILE: the lines of the request's subject, with the types of their texts, and everything unusual escaped
subject_of() { openssl req -in "$1" -noout -subject -nameopt sep_multiline,sname,show_type,esc_2253,esc_ctrl,esc_msb; }

# what_it_is USER GROUPS USAGES SIGNER REQUEST: says `renewal`, or why it is none
what_it_is() {
  local user=$1 groups=$2 usages=$3 signer=$4 request wanted asked
  [ "$signer" = kubernetes.io/kube-apiserver-client ] || { echo "the signer is $signer"; return; }
  [ "$usages" = "client auth;" ] || { echo "the usages are $usages"; return; }
  [[ $user =~ ^\"(.*)\"$ && ${BASH_REMATCH[1]} =~ $plain ]] || { echo "the requester is $user"; return; }
  [[ $groups =~ ^(\"[A-Za-z0-9:._-]+\"\ )+$ ]] || { echo "the requester is in $groups"; return; }
  wanted="CN=${user//\"/}"
  for group in $groups; do
    group=${group//\"/}
    [ "$group" != system:authenticated ] || continue
    [[ $group =~ $plain ]] || { echo "the requester is in $group"; return; }
    wanted+=$'\n'"O=$group"
  done
  # Byte for byte what openssl writes for it: no second block, no header that another reader takes for something else.
  request=$work/request
  openssl base64 -A -d <<<"$5" >"$request" 2>/dev/null || { echo "no base64"; return; }
  openssl req -in "$request" 2>/dev/null | cmp -s - "$request" || { echo "no plain PEM of one request"; return; }
  openssl req -in "$request" -noout -text 2>/dev/null | grep -A1 '^ *Attributes:' | tail -1 | grep -q '(none)' || { echo "it asks for extensions"; return; }
  asked=$(subject_of "$request" | sed -n 's/^ *\([A-Za-z0-9.]*\)=\(UTF8STRING\|PRINTABLESTRING\):/\1=/p;t;s/^subject=$//;/./p')
  [ "$(sort <<<"$asked")" = "$(sort <<<"$wanted")" ] || { echo "the subject is another one than the requester"; return; }
  echo renewal
}

# approve NAME UID RESOURCE_VERSION
approve() {
  printf '{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"%s","uid":"%s","resourceVersion":"%s"},"status":{"conditions":[{"type":"Approved","status":"True","reason":"Renewal","message":"The requester asks for its own subject"}]}}' "$@" |
    kubectl replace --raw "/apis/certificates.k8s.io/v1/certificatesigningrequests/$1/approval" -f - >/dev/null
}

template='{{range .items}}{{if not .status.conditions}}{{.metadata.name}}'$us'{{.metadata.uid}}'$us'{{.metadata.resourceVersion}}'$us'{{printf "%q" .spec.username}}'$us'{{range .spec.groups}}{{printf "%q " .}}{{end}}'$us'{{range .spec.usages}}{{.}};{{end}}'$us'{{.spec.signerName}}'$us'{{.spec.request}}{{"\n"}}{{end}}{{end}}'
list=$(kubectl get certificatesigningrequests -o go-template="$template")
failed=0
while IFS=$us read -r name uid version user groups usages signer request; do
  [ -n "$name" ] || continue
  what=$(what_it_is "$user" "$groups" "$usages" "$signer" "$request")
  if [ "$what" != renewal ]; then
    printf 'Left %s for a person: %s\n' "$name" "${what:-it cannot be read}"
  elif approve "$name" "$uid" "$version"; then
    printf 'Approved %s of %s\n' "$name" "$user"
  else
    failed=1
  fi
done <<<"$list"
exit "$failed"
