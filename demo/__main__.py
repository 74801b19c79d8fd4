"""`python -m demo`: start the shop, watch it, stop it; `python -m demo flush`: do it harm."""

import argparse
import os
import sys
import tempfile

from demo.places import var
from demo.stack.check import check
from demo.stack.errors import DemoError, Stopped
from demo.stack.flush import flush
from demo.stack.prepare import USER
from demo.stack.programs import LOCAL
from demo.stack.supervisor import Supervisor


def main() -> int:
    """Return 0 after a Ctrl-C or a check without faults, else 1."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="A small shop on Celery.")
    parser.add_argument(
        "action",
        nargs="?",
        choices=("flush",),
        help="empty the Redis of the running shop in the middle of a burst of tasks",
    )
    parser.add_argument("--port", type=int, default=8000, help="if it is taken, a free one is used")
    parser.add_argument(
        "--host",
        default=LOCAL,
        choices=(LOCAL, "0.0.0.0"),
        help="the latter for a container that publishes the port",
    )
    parser.add_argument(
        "--check", action="store_true", help="press every button in an empty shop, and end"
    )
    options = parser.parse_args()
    try:
        if options.action == "flush":
            return 0 if flush(f"http://{LOCAL}:{options.port}/") else 1
        return _check() if options.check else _serve(options.host, options.port)
    except (Stopped, KeyboardInterrupt):
        return 0
    except DemoError as error:
        print(f"\nThe demo stops: {error}", file=sys.stderr)
        return 1


def _serve(host: str, port: int) -> int:
    with Supervisor(var(), port, host) as supervisor:
        if port not in (0, supervisor.port):
            print(f"Port {port} is not free; the shop gets {supervisor.port}.")
        print("The shop opens ...", flush=True)
        supervisor.start()
        print(f"Open  {supervisor.url}   (Ctrl-C stops everything)")
        print(f"Admin {supervisor.url}admin/   user {USER}, password {supervisor.password}")
        sys.stdout.flush()
        try:
            while True:
                supervisor.turn()
        except Stopped:
            print("\nThe shop closes: running tasks end first; Ctrl-C again to hurry.", flush=True)
            raise


def _check() -> int:
    with tempfile.TemporaryDirectory(prefix="cq-demo-") as directory:
        os.environ["CQ_DEMO_VAR"] = directory
        with Supervisor(var(), port=0) as supervisor:
            supervisor.start()
            if check(supervisor.url, supervisor.turn):
                return 0
            print(f"\n{supervisor.last_words()}")  # the logs end with us
            return 1


if __name__ == "__main__":
    sys.exit(main())
