#!/usr/bin/env bash
# python.sh NAME: a virtual environment with tests/requirements/NAME.txt in it. Prints its folder on standard output.
# Made once per content of the requirements file; wheels only, so that no compiler is needed.
. "$(dirname "$0")/lib.sh"

name=${1:?usage: python.sh NAME, a file in tests/requirements without its .txt}
requirements=$tests/requirements/$name.txt
[ -f "$requirements" ] || die "no such file: $requirements"
need python3 "the provider servers of the tests are Python programs" "python3 python3-venv"

venv=$cache/$name-$(hash "$requirements")
lock "$name"
if [ ! -e "$venv/complete" ]; then
  say "Installing $name into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv" >&2 || die "python3 cannot make a virtual environment: install it with 'apt-get install python3-venv'"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$requirements" >&2 ||
    die "pip could not install $requirements: it needs PyPI, or what your pip is configured to use instead"
  touch "$venv/complete"
fi
echo "$venv"
