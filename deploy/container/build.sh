#!/usr/bin/env bash
# deploy/container/build.sh PROVIDER BINARY IMAGE: the image of one fetcher from its release binary, by buildah.
#
# On the architecture, and with a glibc no older, than the binary was built with: its libraries are copied from here.
# Times are set to 0, so that the same binary and libraries make the same image, down to its id.
set -euo pipefail
provider=${1:?usage: build.sh PROVIDER BINARY IMAGE}
binary=${2:?usage: build.sh PROVIDER BINARY IMAGE}
image=${3:?usage: build.sh PROVIDER BINARY IMAGE}
here=$(cd "$(dirname "$0")" && pwd)
authorities=/etc/ssl/certs/ca-certificates.crt
command -v buildah >/dev/null || { echo "error: buildah is missing: install it with 'apt-get install buildah'" >&2; exit 1; }
[ -e "$authorities" ] || { echo "error: $authorities is missing: install it with 'apt-get install ca-certificates'" >&2; exit 1; }

umask 022
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
root=$context/root
install -D -m 755 "$binary" "$root/usr/bin/fetcher"
# The loader stands in this list too, at the place where the kernel looks for it.
ldd "$binary" | grep -oE '/[^ ]+' | while read -r library; do install -D -m 755 "$library" "$root$library"; done
install -D -m 644 "$authorities" "$root$authorities"
install -d -m 755 "$root/etc/fetcher"
echo 'fetcher:x:65532:65532:fetcher:/:/nonexistent' >"$root/etc/passwd"
echo 'fetcher:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

version=$("$binary" --version | cut -d ' ' -f 2)
buildah bud --quiet --no-cache --timestamp 0 --build-arg "PROVIDER=$provider" --build-arg "VERSION=$version" \
  --file "$here/Containerfile" --tag "$image" "$context"
