"""A real browser without a window, with a profile of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.needs import need

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def open_browser(profile: Path, size: str = "1600,1000", *, insecure: bool = False) -> Iterator[Any]:
    """Open Debian's Chromium with its profile in an empty folder, until the block ends. `insecure`:
    it takes the sandbox's certificate too.
    """
    options = Options()
    options.accept_insecure_certs = insecure
    options.binary_location = need("chromium")
    for flag in (*_FLAGS, f"--window-size={size}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(executable_path=need("chromium-driver")))
    try:
        driver.set_page_load_timeout(180)
        yield driver
    finally:
        driver.quit()
