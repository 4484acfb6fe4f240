#!/usr/bin/env bash
# start.sh UNIT [FOLDER]: becomes the program of UNIT.service, with the flags and environment files of that unit,
# without systemd. FOLDER stands for /etc/fleet-control-plane. The tests start the control plane with nothing else.
#
# Of systemd's grammar only what the units beside this script use: continued lines, comments between them, ${NAME}.
# A program on PATH goes before the place that the unit names.
set -euo pipefail
unit=$(dirname "${BASH_SOURCE[0]}")/${1:?usage: start.sh UNIT [FOLDER]}.service
config=${2:-/etc/fleet-control-plane}
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

set -a
while read -r file; do
  # shellcheck disable=SC1090
  . "$config/${file##*/}"
done < <(sed -n 's/^EnvironmentFile=//p' "$unit")
set +a

command=$(awk '/^[ \t]*#/ { next } sub(/^ExecStart=/, "") { on = 1 } on { more = sub(/\\$/, ""); print; if (!more) exit }' "$unit")
[ -n "$command" ] || die "$unit has no ExecStart line"
words=()
# shellcheck disable=SC2086
for word in $command; do
  while [[ $word =~ \$\{([A-Za-z_0-9]+)\} ]]; do
    name=${BASH_REMATCH[1]}
    [ -n "${!name+set}" ] || die "\${$name} in $word of $unit has no value: set it in $config/control-plane.env"
    word=${word/"${BASH_REMATCH[0]}"/${!name}}
  done
  words+=("$word")
done
program=$(command -v "${words[0]##*/}") || program=${words[0]}
exec "$program" "${words[@]:1}"
