#!/usr/bin/env python3
"""sizes.py FOLDER: how large the four binaries in FOLDER are, and how long each takes from exec to its first request.

Each is started 20 times as `--once --dry-run` against a port on loopback that takes a connection, reads the first line of
the request and hangs up. Measured on the machine it runs on, beside whatever else runs there: the median counts.
"""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 20

CONFIG = {
    "aws": "aws: {{regions: [eu-west-1], endpoints: {{ec2: 'http://127.0.0.1:{port}', sts: 'http://127.0.0.1:{port}'}}}}\n",
    "baremetal": "baremetal: {{sources: [{{netbox: {{name: n, url: 'http://127.0.0.1:{port}', token: {{env: SECRET}}}}}}]}}\n",
    "cloudforms": "cloudforms: {{appliances: [{{name: n, url: 'http://127.0.0.1:{port}', username: u, password: {{env: SECRET}}}}]}}\n",
    "packet": "packet: {{url: 'http://127.0.0.1:{port}/metal/v1', token: {{env: SECRET}}, projects: [{{id: c0ffee00-1111-4222-8333-444455556666}}]}}\n",
}
ENVIRONMENT = {
    "SECRET": "0123456789abcdef0123456789abcdef01234567",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def first_request(binary: str, provider: str, folder: str) -> float:
    """Seconds from exec to the first line of the first request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        config = os.path.join(folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG[provider].format(port=server.getsockname()[1]))
        command = [binary, "--once", "--dry-run", "--config", config]
        start = time.monotonic()
        with subprocess.Popen(
            command, cwd=folder, env={**ENVIRONMENT, "HOME": folder},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as running:
            try:
                connection, _ = server.accept()
                with connection:
                    if not connection.recv(1):
                        raise RuntimeError("a connection without a request")
                    return time.monotonic() - start
            except TimeoutError:
                running.kill()
                raise RuntimeError(f"{binary} asked nothing: {running.stderr.read().decode()}") from None
            finally:
                running.send_signal(signal.SIGKILL)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("| binary | size, MB | first request after, ms (median, slowest of 20) |\n|---|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for provider in CONFIG:
            binary = os.path.abspath(os.path.join(sys.argv[1], f"fetcher-{provider}"))
            size = os.path.getsize(binary) / 1e6
            times = [first_request(binary, provider, folder) * 1e3 for _ in range(RUNS)]
            print(f"| fetcher-{provider} | {size:.1f} | {statistics.median(times):.0f}, {max(times):.0f} |")


if __name__ == "__main__":
    main()
