#!/usr/bin/env bash
# tests/deploy/container.sh: the images of deploy/container, built with buildah and run with a read-only root; one of them
# as a pod would run it, with a service account at a real apiserver. Needs root, Debian's archive, and two minutes.
#
# FETCHER_BIN names the folder of the binaries; without it those of the tests, which are no release and large.
. "$(dirname "$0")/lib.sh"

need openssl "the pod gets a token of the apiserver" openssl
need python3 "it reads JSON" python3
build
kubectl_program=$(tests/setup/control-plane.sh | sed -n 's/^kubectl=//p')
mkfifo "$work/plane.in"
"$built/plane" <"$work/plane.in" >"$work/plane.out" 2>"$work/plane.err" &
plane_pid=$!
exec 5>"$work/plane.in"
at_end 'exec 5>&-; wait $plane_pid'

providers="aws baremetal cloudforms packet"
furnish() {
  mkdir -p "$rootfs/srv/bin" "$rootfs/srv/etc"
  local provider
  for provider in $providers; do cp "$bin/fetcher-$provider" "$rootfs/srv/bin/"; done
  cp deploy/container/* "$rootfs/srv/"
  cp deploy/examples/machines.yaml "$rootfs/srv/etc/"
  # systemd starts nothing for a number that has no name.
  echo 'fetcher:x:65532:65532::/:/bin/false' >>"$rootfs/etc/passwd"
  echo 'fetcher:x:65532:' >>"$rootfs/etc/group"
}
boot furnish

build_image() { in_guest env BUILDAH_ISOLATION=chroot /srv/build.sh "$1" "/srv/bin/fetcher-$1" "localhost/fetcher-$1"; }
inspect() { in_guest buildah inspect --type image --format "$2" "localhost/fetcher-$1"; }
# container PROVIDER: a folder with what is in the image.
container() {
  in_guest sh -c 'c=$(buildah from --pull-never "localhost/fetcher-$1") && cp -a "$(buildah mount "$c")" "/srv/root-$1" && buildah rm "$c" >/dev/null' - "$1"
  printf '/srv/root-%s' "$1"
}

# run_image FOLDER PROPERTIES... -- ARGUMENTS...: what a container engine does, by systemd: a root of its own that is read-only.
run_image() {
  local root=$1 properties=()
  shift
  while [ "$1" != -- ]; do properties+=(-p "$1"); shift; done
  shift
  in_guest systemd-run --quiet --wait --pipe --collect -p RootDirectory="$root" -p ReadOnlyPaths=/ -p MountAPIVFS=yes \
    -p User=65532 -p Group=65532 -p NoNewPrivileges=yes -p CapabilityBoundingSet= "${properties[@]}" /usr/bin/fetcher "$@"
}
# says WORDS COMMAND...: what it prints holds these, however it ends.
says() {
  "${@:2}" >"$work/out" 2>&1 || true
  grep -qE "$1" "$work/out" || { cat "$work/out"; false; }
}

for provider in $providers; do
  check "fetcher-$provider: the image is built" build_image "$provider"
  root=$(container "$provider")
  check "fetcher-$provider: --version runs in it, its root read-only" says "^fetcher-$provider [0-9]" run_image "$root" -- --version
  shells() { in_guest find "$root" -perm /111 -type f -not -path '*/lib*' | grep -v /usr/bin/fetcher; }
  check "fetcher-$provider: nothing else in it can be started" not shells
  printf '        %s MB\n' "$(in_guest du -sb "$root" | awk '{printf "%.1f", $1 / 1e6}')"
done

first=$(inspect baremetal '{{.FromImageID}}')
build_image baremetal >/dev/null
check "built again, the image is the same ($first)" test -n "$first" -a "$first" = "$(inspect baremetal '{{.FromImageID}}')"
check "its user is 65532, its entry point the binary" \
  test "$(inspect baremetal '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}')" = "65532:65532 [/usr/bin/fetcher]"

root=$(container baremetal)
example="BindReadOnlyPaths=/srv/etc:/etc/fetcher"
in_guest install -d -o 65532 -g 65532 /srv/inventory
check "--once on an example, into a folder that is mounted" says '[1-9][0-9]* Hosts changed' \
  run_image "$root" "$example" BindPaths=/srv/inventory:/inventory -- --once --file /etc/fetcher/machines.yaml --store file:/inventory/inventory.json
check "a second one changes nothing" says 'Nothing changed' \
  run_image "$root" "$example" BindPaths=/srv/inventory:/inventory -- --once --file /etc/fetcher/machines.yaml --store file:/inventory/inventory.json
check "outside of that folder it cannot write" says 'Read-only file system|Permission denied' \
  run_image "$root" "$example" -- --once --file /etc/fetcher/machines.yaml --store file:/inventory.json

# --- as a pod -----------------------------------------------------------------------------------------------------------

lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
within 180 lines "$work/plane.out" 1 || die "no control plane: $(tail -n 5 "$work/plane.err")"
about() { head -n 1 "$work/plane.out" | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
kubectl() { "$kubectl_program" --kubeconfig "$(about kubeconfig)" --cache-dir "$work/kubectl" "$@"; }
kubectl apply --server-side -k deploy/kustomize/overlays/baremetal >"$work/applied" 2>&1 || die "$(cat "$work/applied")"
kubectl wait --for=condition=established --timeout=60s crd/hosts.inventory.fetcher.dev >/dev/null
mkdir "$rootfs/srv/account"
kubectl create token fetcher --namespace inventory-baremetal >"$rootfs/srv/account/token"
cp "$(about pki)/ca.crt" "$rootfs/srv/account/"
printf 'inventory-baremetal' >"$rootfs/srv/account/namespace"
chmod 755 "$rootfs/srv/account"
chmod 644 "$rootfs"/srv/account/*
cat >"$rootfs/srv/etc/config.yaml" <<'YAML'
schedule: every 60s
selector: ""
store: {kubernetes: {namespace: inventory-baremetal}}
baremetal: {sources: [{file: {name: fra1, path: /etc/fetcher/machines.yaml}}]}
YAML
url=$(about url)
pod() {
  run_image "$root" "$example" BindReadOnlyPaths=/srv/account:/var/run/secrets/kubernetes.io/serviceaccount \
    "Environment=KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=${url##*:}" -- --config /etc/fetcher/config.yaml "$@"
}
# An apiserver describes a new kind a moment after it serves it.
has_all() { pod check >"$work/out" 2>&1 && grep -q 'has all rights it needs in namespace inventory-baremetal' "$work/out"; }
check "in a pod, check finds everything it needs" within 60 has_all
check "in a pod, --once makes Hosts with its service account" says '[1-9][0-9]* Hosts changed' pod --once
hosts() { kubectl get hosts --namespace inventory-baremetal -o name; }
check "kubectl shows them" says host.inventory.fetcher.dev/ hosts
check "a second run changes nothing" says 'Nothing changed' pod --once

result
