#!/usr/bin/env bash
# Lists 10,000 and 100,000 instances of the fake EC2 endpoint with fetcher-aws and with boto3's paginator.
# PYTHON is a Python that has boto3: the one of the moto server will do. BIN is a folder with the binaries of a release
# build, if there is one already.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
[ -n "${BIN:-}" ] || cargo build --release --locked -q --workspace --bins
bin=${BIN:-${CARGO_TARGET_DIR:-target}/release}
export AWS_ACCESS_KEY_ID=AKIA210987654321 AWS_SECRET_ACCESS_KEY=secret AWS_EC2_METADATA_DISABLED=true
for instances in 10000 100000; do
  coproc SERVER { exec "$bin/fake_ec2" 0 "$instances"; }
  server=$SERVER_PID
  trap 'kill "$server" 2>/dev/null' EXIT
  read -r url <&"${SERVER[0]}"
  "$bin/list_ec2" "$url"
  "$python" tests/benches/list_ec2.py "$url"
  kill "$server"
  wait "$server" 2>/dev/null || true
done
