"""The demo and a browser, one of each for all tests here."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import BrowserMissing, open_browser
from tests.browser.shop import Shop
from tests.servers.demo import Demo


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    try:
        browser = open_browser(tmp_path_factory.mktemp("profile"))
    except BrowserMissing as error:
        pytest.fail(f"the browser is missing: {error}", pytrace=False)
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="session")
def demo(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture
def shop(browser: Chrome, demo: Demo) -> Iterator[Shop]:
    """The page, opened anew; nothing may be wrong with it by the end of the test."""
    shop = Shop(browser, demo.url)
    shop.open()
    yield shop
    assert shop.complaints() == []
