"""The page of the demo, as somebody in front of it sees it."""

from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.servers.waiting import wait_until

SECONDS = 20.0  # for what a task does
ROWS = """
return [...document.querySelectorAll('#tasks li:not(.empty)')].map(row => ({
  state: row.querySelector('.state').textContent,
  what: row.querySelector('.what').textContent,
  outcome: row.querySelector('.outcome').textContent,
}))
"""


class Shop:
    """The open page; it is never loaded again, so that what changes has changed by itself."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self) -> None:
        """Load the page and wait for its first news."""
        self.browser.get(self.url)
        wait_until(lambda: self.text("#status") == "live", SECONDS, "the page to be live")

    def text(self, css: str) -> str:
        """Return the text that the first match shows."""
        return self.browser.find_element(By.CSS_SELECTOR, css).text

    def press(self, label: str) -> str:
        """Press the button of the counter with this label and return what the page says to it."""
        self.run("document.getElementById('notice').textContent = ''")
        path = f"//main//form//button[normalize-space()='{label}']"
        self.browser.find_element(By.XPATH, path).click()
        return wait_until(lambda: self.text("#notice"), SECONDS, f"an answer to {label}")

    def choose_picture(self, path: Path) -> None:
        """Choose a file for the upload."""
        self.browser.find_element(By.NAME, "original").send_keys(str(path))

    def wait_task(self, name: str, state: str, outcome: str = "") -> None:
        """Wait until the list has a task with this name, state and part of the outcome."""

        def seen() -> bool:
            rows = [row for row in self.run(ROWS) if row["what"].split()[0] == name]
            return any(row["state"] == state and outcome in row["outcome"] for row in rows)

        wait_until(seen, SECONDS, lambda: f"{name} to be {state} among {self.run(ROWS)}")

    def run(self, script: str) -> Any:
        """Return what a script returns in the page."""
        return self.browser.execute_script(script)

    def complaints(self) -> list[str]:
        """Return the errors and warnings of the browser's console since the last call."""
        return [entry["message"] for entry in self.browser.get_log("browser")]
