"""People sign in with a real browser, at a real server, by the sandbox's pages."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import open_browser
from tests.consoles import run_console
from tests.sites import Site

WITHIN_S = 30


def _configure(site: Site) -> int:
    """Let people sign in; returns the port that the console's own address names."""
    ready = site.sandbox.ready["console"]
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    with (site.folder / "usher.toml").open("a") as file:
        file.write(
            f'\n[console]\ntenant_id = "{ready["tenant_id"]}"\nclient_id = "{ready["client_id"]}"\n'
            f'client_secret = "file:{ready["client_secret_file"]}"\nauthority = "{ready["authority"]}"\n'
            f'ca_file = "{site.sandbox.ready["ca_file"]}"\npublic_url = "http://localhost:{port}"\n'
        )
    return port


def _press(driver: Any, where: str, text: str) -> None:
    button = next(one for one in driver.find_elements(By.TAG_NAME, where) if text in one.text)
    button.click()


def test_a_person_signs_in_and_out(site: Site, tmp_path: Path) -> None:
    """From a page to Entra, back to that page, out again; and another person in their place."""
    port = _configure(site)
    with (
        run_console(site, "--port", str(port)) as console,
        open_browser(tmp_path / "profile", insecure=True) as driver,
    ):
        wait = WebDriverWait(driver, WITHIN_S)
        url = f"http://localhost:{port}"
        driver.get(f"{url}/jobs")
        wait.until(lambda d: d.current_url.startswith(site.sandbox.ready["url"]))
        _press(driver, "button", "ada@contoso.example")
        wait.until(lambda d: d.current_url == f"{url}/jobs")
        assert "Ada Lovelace" in driver.page_source
        assert driver.get_cookie(f"usher-session-{port}")["httpOnly"]
        assert driver.execute_script("return document.cookie") == ""
        _press(driver, "button", "Sign out")
        wait.until(lambda d: d.current_url == f"{url}/signedout")
        driver.get(f"{url}/")
        wait.until(lambda d: d.current_url.startswith(site.sandbox.ready["url"]))
        _press(driver, "button", "grace@contoso.example")
        wait.until(lambda d: d.current_url.startswith(f"{url}/") and "Grace Hopper" in d.page_source)
        assert [entry for entry in driver.get_log("browser") if entry["message"].startswith(url)] == []
        assert "Traceback" not in console.log.read_text()
