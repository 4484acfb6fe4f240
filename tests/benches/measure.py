"""measure.py COMMAND...: runs a command and says, on standard error, what it cost."""

import resource
import subprocess
import sys
import time

start = time.monotonic()
code = subprocess.run(sys.argv[1:], check=False).returncode
wall = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(
    f"exit {code}, wall {wall:.1f} s, cpu {used.ru_utime + used.ru_stime:.1f} s, "
    f"peak {used.ru_maxrss / 1024:.0f} MiB",
    file=sys.stderr,
)
sys.exit(code)
