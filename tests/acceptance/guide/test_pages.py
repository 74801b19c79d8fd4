"""Every page of the guide is followed from its first block to its last."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.guide.blocks import read_blocks
from tests.acceptance.guide.reader import Reader
from tests.servers.daemon import ROOT
from tests.servers.redis import RedisServer

GUIDE = ROOT / "migration_guide"


@pytest.fixture
def reader(tmp_path: Path, clean_redis: RedisServer) -> Iterator[Reader]:
    """A reader with a Redis server at the address that the guide gives it."""
    with Reader(tmp_path, {"localhost:6379": f"127.0.0.1:{clean_redis.port}"}) as reader:
        yield reader


PAGES = ["first-steps.md", "one-queue-at-a-time.md", "drain-and-go-back.md"]


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_says_works(page: str, reader: Reader) -> None:
    for block in read_blocks(GUIDE / page):
        reader.follow(block)
    reader.check()
