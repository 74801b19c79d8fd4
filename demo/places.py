"""Where the demo keeps its files."""

import os
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # from where `demo` is importable
MAX_SOCKET_PATH = 100  # bytes; macOS takes 103, Linux 107


def var() -> Path:
    """Return the directory of all data: CQ_DEMO_VAR, or `demo/var`."""
    return Path(os.environ.get("CQ_DEMO_VAR") or ROOT / "demo" / "var").resolve()


def redis_socket() -> Path:
    """Return the path of the server's socket: in `var()`, or where paths are shorter."""
    path = var() / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    digest = zlib.crc32(os.fsencode(path))
    return Path(tempfile.gettempdir()) / f"cq-demo-{os.getuid()}-{digest:08x}.sock"
