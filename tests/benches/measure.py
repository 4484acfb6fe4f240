"""measure.py [--json FILE] COMMAND...: runs a command and says what it cost, on standard error or in a file."""

import json
import os
import subprocess
import sys
import time

arguments = sys.argv[1:]
to = None
if arguments[:1] == ["--json"]:
    to, arguments = arguments[1], arguments[2:]
start = time.monotonic()
child = subprocess.Popen(arguments)
_, status, used = os.wait4(child.pid, 0)
wall = time.monotonic() - start
code = os.waitstatus_to_exitcode(status)
cpu = used.ru_utime + used.ru_stime
if to:
    with open(to, "w") as file:
        json.dump({"wall": wall, "cpu": cpu, "peak": used.ru_maxrss * 1024}, file)
else:
    peak = used.ru_maxrss / 1024
    print(f"exit {code}, wall {wall:.1f} s, cpu {cpu:.1f} s, peak {peak:.0f} MiB", file=sys.stderr)
# A signal's number is negative here, and no exit code.
sys.exit(code if code >= 0 else 128 - code)
