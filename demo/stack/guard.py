"""A small process that outlives the supervisor by a moment and ends what it leaves behind.

It reads "+GROUP" and "-GROUP" lines, the process groups that began and ended, from its standard
input. The pipe ends when the supervisor ends, however that happens: then every group that is left
is killed. It runs as a plain file, with the standard library alone.
"""

import os
import signal
import sys


def main() -> None:
    """Keep the list of groups until the supervisor is gone."""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    main()
