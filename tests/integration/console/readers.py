"""A reader of the console's pages in a real Chromium, and the console that they read: a whole usher
with `usher serve` before it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.processes import BUSY, quick_usher, running, wait_until
from tests.ushers import Usher

_READY = re.compile(r"usher is at (http://\S+) ")
_WITHIN_S = BUSY * 30
SEMICOLONS = (
    "Name;E-Mail;Firma\r\n"
    "Zoë Müller;zoe.mueller@partner.example;Partner\r\n"
    "Niemand;keine Adresse;\r\n"
    "Jörg Ähle;joerg@kunde.example;Kunde\r\n"
    "Zoë Müller;zoe.mueller@partner.example;Partner\r\n"
).encode("cp1252")
"""A list as a German Excel writes it: a bad row and a repeated one in it."""


@contextlib.contextmanager
def run_pages(usher: Usher, name: str = "serve", **env: str) -> Iterator[str]:
    """Run the console of an usher on a free port; returns its address."""
    log = usher.folder / f"{name}.log"
    with running((*quick_usher(), "serve", "--port", "0"), log, usher.env | env, usher.folder) as process:
        wait_until(lambda: _READY.search(log.read_text()) or process.poll() is not None, 30, "a server that is ready")
        found = _READY.search(log.read_text())
        assert found, log.read_text()
        yield found[1]


@dataclass
class Reader:
    """Somebody who reads pages and fills in forms. Elements are named by CSS selectors."""

    driver: Any
    url: str

    def open(self, path: str) -> None:
        """Go to an address."""
        self.driver.get(self.url + path)

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """Return the first true answer; fail with what the page says after a while."""
        try:
            return WebDriverWait(self.driver, _WITHIN_S, 0.05, (StaleElementReferenceException,)).until(
                lambda _: look()
            )
        except TimeoutException:
            raise AssertionError(f"not within {_WITHIN_S} s: {what}\n{self.path}\n{self.text()}") from None

    def all(self, selector: str) -> list[Any]:
        """Return all elements."""
        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def find(self, selector: str) -> Any:
        """Return an element, once it is there."""
        return self.until(selector, lambda: self.all(selector))[0]

    def text(self, selector: str = "body") -> str:
        """Return what an element shows."""
        return "\n".join(one.text for one in self.all(selector))

    def says(self, words: str, selector: str = "main") -> None:
        """Wait until an element says something."""
        self.until(f"“{words}”", lambda: words in self.text(selector))

    @property
    def path(self) -> str:
        """Where the reader is."""
        return str(self.driver.current_url).removeprefix(self.url)

    def press(self, words: str) -> None:
        """Press the button, or follow the link, that says so."""

        def look() -> Any:
            return [one for one in self.all("button, a, summary") if one.is_displayed() and one.text.startswith(words)]

        self.until(f"a button “{words}”", look)[0].click()

    def fill(self, name: str, text: str) -> None:
        """Fill in a field."""
        field = self.find(f"[name={name}]")
        field.clear()
        field.send_keys(text)

    def choose(self, name: str, value: str) -> None:
        """Choose from a list."""
        Select(self.find(f"select[name={name}]")).select_by_value(value)

    def speak(self, language: str) -> None:
        """Have pages in that language."""
        self.driver.add_cookie({"name": "usher_language", "value": language, "path": "/"})

    def dim(self, theme: str) -> None:
        """Have the system light or dark."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def tab_to(self, wanted: Callable[[Any], bool]) -> Any:
        """Move by Tab alone until the focus is there."""
        for _ in range(80):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
            focused = self.driver.switch_to.active_element
            if wanted(focused):
                return focused
        raise AssertionError(f"the keyboard never comes there\n{self.path}\n{self.text()}")

    def send(self, file: Path) -> None:
        """Give a list to *Invite*, and wait until it was read."""
        self.open("/invite")
        self.find("#list").send_keys(str(file))
        self.find("#read")

    def invite(self, file: Path, **fields: str) -> str:
        """Send a list as a reader does; returns the job."""
        self.send(file)
        for name, text in fields.items():
            self.fill(name, text)
        self.press("Look what would happen")
        self.find("#would")
        self.press("Send ")
        self.find("#job")
        return self.path.removeprefix("/jobs/")

    def refused(self) -> list[Mapping[str, Any]]:
        """Return what the browser has complained of since it was asked last: a policy that was
        broken, a script that failed.
        """
        found: list[Mapping[str, Any]] = self.driver.get_log("browser")
        return [entry for entry in found if "favicon" not in entry["message"]]
