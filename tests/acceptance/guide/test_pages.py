"""Every page of the guide is followed from its first block to its last."""

import pytest

from tests.acceptance.guide.blocks import GUIDE, PAGES, read_blocks
from tests.acceptance.guide.reader import Reader

#: The page whose snippets need servers of many kinds.
LAYERS = GUIDE / "layers.md"


def follow(page: str, reader: Reader) -> None:
    for block in read_blocks(GUIDE / page):
        reader.follow(block)


@pytest.mark.parametrize("page", [path.name for path in PAGES if path != LAYERS])
def test_what_the_page_says_works(page: str, reader: Reader) -> None:
    follow(page, reader)
    reader.check()


class TestLayers:
    """The page about layers, with every server that it names."""

    @pytest.fixture
    def other_addresses(self, layer_addresses: dict[str, str]) -> dict[str, str]:
        return layer_addresses

    def test_what_the_page_says_works(self, reader: Reader) -> None:
        follow(LAYERS.name, reader)
