"""Source distributions: the installed packages come without their tests."""

import fcntl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.compat.errors import CompatError
from tests.servers.daemon import ROOT

CACHE = ROOT / ".cache" / "compat"
#: What is taken from a source distribution. The package itself is not: the installed one is tested.
PARTS = ("t", "examples", "pyproject.toml", "setup.cfg")


def source(distribution: str) -> Path:
    """Return the folder with the tests and examples that belong to the installed version.

    Raises: CompatError when they cannot be downloaded.
    """
    name = f"{distribution}-{version(distribution)}"
    folder = CACHE / name
    if not folder.is_dir():
        with _alone():
            if not folder.is_dir():
                _extract(_archive(distribution, name), folder)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes waiting: the suites of both brokers begin at the same time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _archive(distribution: str, name: str) -> Path:
    archive = CACHE / f"{name}.tar.gz"
    if not archive.exists():
        requirement = f"{distribution}=={version(distribution)}"
        download = ["download", "--quiet", "--no-deps", "--no-binary", distribution]
        command = [sys.executable, "-m", "pip", *download, "--dest", str(CACHE), requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not archive.exists():
            raise CompatError(f"{' '.join(command)} got no {archive.name}:\n{done.stderr}")
    return archive


def _extract(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory(dir=CACHE) as partial:
        members = [member for member in tar if _is_wanted(member.name)]
        tar.extractall(partial, members, filter="data")
        (Path(partial) / folder.name).rename(folder)


def _is_wanted(path: str) -> bool:
    _, *inside = Path(path).parts
    return bool(inside) and inside[0] in PARTS
