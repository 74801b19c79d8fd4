"""A Chromium without a window, driven by Selenium."""

import shutil
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",  # small in containers
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",  # every page is local
)


class BrowserMissing(Exception):
    """Chromium or its driver is not on the PATH; the message says what to install."""


def open_browser(profile: Path, width: int = 1280, height: int = 900) -> Chrome:
    """Start a browser whose files are in `profile`, a directory of its own.

    Raises: BrowserMissing.
    """
    options = ChromeOptions()
    options.binary_location = _program(*BROWSERS)
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, ChromeService(_program(DRIVER)))


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise BrowserMissing(
        f"no {' or '.join(names)} on the PATH; `make browser` installs Chromium on Debian as root, "
        "elsewhere install Chromium or Chrome with its chromedriver"
    )
