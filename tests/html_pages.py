"""Reading HTML pages, and looking at them in a headless Chromium."""

import json
import shutil
from html.parser import HTMLParser

import pytest


class Page(HTMLParser):
    """Images, headings and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.images, self.addresses, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        self.addresses += [values[name] for name in ("src", "href", "srcset", "action") if name in values]
        self.ids += [values["id"]] if "id" in values else []


def start_browser():
    """Return a headless Chromium that logs its console and its network; skip the test where there is none."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


def seen(driver, address, width):
    """Open a page and return what its console says and what it fetches, `data:` left out."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    driver.get(address)
    console = driver.get_log("browser")
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requests = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return console, [url for url in requests if not url.startswith("data:")]


def check_pictures(browser, width):
    """Check that every picture of the page can be decoded, is seen and lies within the width."""
    browser.execute_script("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    sizes = browser.execute_async_script(
        """const done = arguments[0];
        const images = [...document.images];
        Promise.all(images.map(image => image.decode())).then(() => done(images.map(image => {
          const box = image.getBoundingClientRect();
          return [image.naturalWidth, box.width, box.height, box.right];
        })), error => done(String(error)));"""
    )
    assert isinstance(sizes, list), sizes
    assert all(
        natural > 0 and wide > 80 and high > 60 and right <= width for natural, wide, high, right in sizes
    )
