#!/usr/bin/env bash
# 680 sources: 40 accounts with 17 regions of one instance each, at an endpoint that takes a second to answer. Two rounds of
# `fetcher-aws --once`: the first creates 680 Hosts, the second has nothing to do.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -n "${BIN:-}" ] || cargo build --release --locked -q --workspace --bins
bin=$(realpath "${BIN:-${CARGO_TARGET_DIR:-target}/release}")
measure=$(realpath tests/benches/measure.py)
dir=$(mktemp -d)
trap 'kill "$SERVER_PID" 2>/dev/null; rm -rf "$dir"' EXIT
coproc SERVER { exec "$bin/fake_ec2" 0 1 1000; }
read -r url <&"${SERVER[0]}"
cd "$dir"
{
  echo "selector: ''"
  echo "store: {file: {path: inventory.json}}"
  echo "aws:"
  echo "  endpoints: {ec2: '$url', sts: '$url'}"
  echo "  instanceTypes: false"
  echo "  regions: [$(seq -s, -f 'eu-west-%g' 1 17)]"
  echo "  accounts:"
  for account in $(seq 1 40); do
    printf "    - roleArn: arn:aws:iam::2109876543%02d:role/inventory\n" "$account"
  done
} >fetcher.yaml
export AWS_ACCESS_KEY_ID=AKIA210987654321 AWS_SECRET_ACCESS_KEY=secret AWS_EC2_METADATA_DISABLED=true
for round in first second; do
  python3 "$measure" "$bin/fetcher-aws" --config fetcher.yaml --once >"$round.out"
  tail -n 3 "$round.out"
done
