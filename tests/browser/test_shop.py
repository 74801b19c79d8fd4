"""What a visitor of the demo does, with a real mouse and real eyes."""

from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from tests.browser.shop import SECONDS, Shop
from tests.servers.demo import Demo
from tests.servers.waiting import wait_until

OVERFLOWING = """
return [document.documentElement, ...document.querySelectorAll('.panel')]
  .filter(element => element.scrollWidth > element.clientWidth).map(element => element.innerText)
"""
SIZES = """
return [...document.images].filter(image => image.src.includes('thumbnails'))
  .map(image => [image.naturalWidth, image.naturalHeight])
"""


def test_an_order_is_mailed_before_the_visitors_eyes(shop: Shop) -> None:
    assert "is placed" in shop.press("Order")
    shop.wait_task("send_order_mail", "SUCCESS", "mail to ada@example.com")
    wait_until(lambda: "ada@example.com" in shop.text("#mails"), SECONDS, "the mail")


def test_an_uploaded_picture_shows_its_thumbnail(shop: Shop, tmp_path: Path) -> None:
    Image.new("RGB", (800, 400), "teal").save(tmp_path / "lake.png")
    shop.choose_picture(tmp_path / "lake.png")
    assert shop.press("Upload") == "The picture is here."
    shop.wait_task("make_thumbnail", "SUCCESS", "320 × 160")
    wait_until(lambda: [320, 160] in shop.run(SIZES), SECONDS, "the picture to be drawn")
    assert "lake.png" in shop.text("#pictures")


def test_redis_is_flushed_under_load_and_nothing_is_lost(shop: Shop) -> None:
    assert "Redis was emptied" in shop.press("Flush Redis under load")
    wait_until(lambda: "waiting 500" not in shop.text("#parcels"), SECONDS, "the first parcels")
    wait_until(lambda: "done 500" in shop.text("#parcels"), 2 * SECONDS, "the last parcel")
    counts = shop.text("#parcels").splitlines()
    assert counts[1:] == ["tasks 500", "done 500", "waiting 0", "lost 0", "done twice 0"]
    assert "is placed" in shop.press("Order")  # and the page goes on
    shop.wait_task("send_order_mail", "SUCCESS", "mail to ada@example.com")


def test_a_running_task_is_stopped(shop: Shop) -> None:
    shop.press("Count the stock")
    shop.wait_task("count_stock", "PROGRESS")
    shop.browser.find_element(By.CSS_SELECTOR, "button[aria-label='Stop count_stock']").click()
    shop.wait_task("count_stock", "REVOKED")


def test_a_report_is_made_before_the_visitors_eyes(shop: Shop) -> None:
    shop.press("Build the report")
    wait_until(lambda: "WAITING" in shop.text("#family"), SECONDS, "the first task to wait")
    assert "write_report" in shop.text("#family")
    wait_until(lambda: shop.text("#family").count("SUCCESS") == 7, SECONDS, "the family to end")
    assert "is written" in shop.text("#log")
    assert "All" in shop.text("#report")


def test_a_schedule_is_run_and_edited_in_the_admin(shop: Shop, demo: Demo) -> None:
    browser, page = shop.browser, shop.browser.current_window_handle
    shop.press("Order")
    wait_until(lambda: "Report" in shop.text("#schedules"), SECONDS, "beat's schedules")
    browser.switch_to.new_window("tab")
    try:
        _log_in(browser, demo)
        _run_report(browser, demo)
    finally:
        browser.close()
        browser.switch_to.window(page)
    wait_until(lambda: "All" in shop.text("#report"), SECONDS, "the report")
    assert "is placed" in shop.press("Order")  # the login in the other tab changed the token


@pytest.mark.parametrize("width", [360, 760, 1280])
def test_the_page_fits(shop: Shop, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    shop.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert shop.run("return innerWidth") == width
        assert shop.run(OVERFLOWING) == []
    finally:
        shop.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _log_in(browser: Chrome, demo: Demo) -> None:
    browser.get(f"{demo.url}admin/django_celery_beat/periodictask/")
    for field, value in zip(("username", "password"), demo.account, strict=True):
        browser.find_element(By.NAME, field).send_keys(value)
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()


def _run_report(browser: Chrome, demo: Demo) -> None:
    row = "//tr[.//a[contains(., 'Report, every night')]]//input[@type='checkbox']"
    browser.find_element(By.XPATH, row).click()
    Select(browser.find_element(By.NAME, "action")).select_by_value("run_tasks")
    browser.find_element(By.CSS_SELECTOR, ".actions button").click()
    assert "1 task was successfully run" in browser.find_element(By.CLASS_NAME, "messagelist").text
