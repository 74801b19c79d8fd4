"""Tasks in Django's admin, as an operator acts on them."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from tests.browser.shop import SECONDS, Shop
from tests.servers.demo import Demo
from tests.servers.waiting import wait_until

LIST = "admin/cq/task/"
ROWS = "#result_list tbody tr"


class Tasks:
    """The admin's pages of tasks."""

    def __init__(self, browser: Chrome, demo: Demo) -> None:
        self.browser = browser
        self.url = f"{demo.url}{LIST}"

    def log_in(self, name: str, password: str) -> None:
        """Open the list; the first page asks who is there."""
        self.browser.get(self.url)
        for field in self.browser.find_elements(By.NAME, "username"):
            field.send_keys(name)
            self.browser.find_element(By.NAME, "password").send_keys(password)
            self.press("[type=submit]")

    def press(self, css: str) -> None:
        """Press a button."""
        self.browser.find_element(By.CSS_SELECTOR, css).click()

    def search(self, query: str) -> int:
        """Show the tasks of a query and return how many there are."""
        self.browser.get(self.url + query)
        return len(self.browser.find_elements(By.CSS_SELECTOR, ROWS))

    def shown(self) -> set[str]:
        """Return the addresses of the tasks that the list shows."""
        links = self.browser.find_elements(By.CSS_SELECTOR, f"{ROWS} th a")
        return {str(link.get_attribute("href")) for link in links}

    def said(self) -> str:
        """Return what the page says about what was done."""
        return self.browser.find_element(By.CLASS_NAME, "messagelist").text

    def states(self) -> list[str]:
        """Return the states that the page shows, read anew."""
        self.browser.refresh()
        return [found.text for found in self.browser.find_elements(By.CLASS_NAME, "cq-state")]


@pytest.fixture
def tasks(shop: Shop, demo: Demo) -> Iterator[Tasks]:
    """The list in a tab of its own, with the tasks of two orders."""
    for _ in range(2):
        assert "is placed" in shop.press("Order")
    shop.wait_task("send_order_mail", "SUCCESS")
    browser, page = shop.browser, shop.browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        tasks = Tasks(browser, demo)
        tasks.log_in(*demo.account)
        yield tasks
    finally:
        browser.close()
        browser.switch_to.window(page)


def test_a_task_is_found_retried_and_forgotten(tasks: Tasks) -> None:
    mails = "?q=send_order_mail&state=SUCCESS"
    wait_until(lambda: tasks.search(mails) > 1, SECONDS, "the mails of two orders")
    tasks.press(f"{ROWS} th a")
    tasks.press("button[name=cq-retry]")
    assert "1 task: Retried." in tasks.said()
    wait_until(lambda: tasks.states()[:1] == ["SUCCESS"], SECONDS, "the second run to end")
    run = ".field-page_run .readonly"
    assert tasks.browser.find_element(By.CSS_SELECTOR, run).text == "2"
    tasks.press(".object-tools .historylink")
    assert "Retried." in tasks.browser.find_element(By.ID, "change-history").text

    found, shown = tasks.search(mails), tasks.shown()
    assert len(shown) == found
    tasks.press("#action-toggle")
    Select(tasks.browser.find_element(By.NAME, "action")).select_by_value("forget")
    tasks.press(".actions button[type=submit]")
    assert f"{found} tasks are selected" in tasks.browser.find_element(By.ID, "content").text
    tasks.press("#content form [type=submit]")
    assert f"{found} tasks: Forgotten." in tasks.said()
    tasks.search(mails)
    assert not shown & tasks.shown()  # customers keep coming in: there may be others
