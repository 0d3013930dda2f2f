"""The mails that come with usher, in a real browser: whole, readable, the button in sight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import open_browser
from worker.mail.templates import write

VALUES = {
    "name": "Ada Lovelace",
    "email": "ada@partner.example",
    "link": "https://login.example/redeem?rd=a&x=1",
    "message": "We build a bridge.\n<script>document.title = 'taken'</script>",
    "organisation": "Contoso",
    "contact": "it@contoso.example",
}
_WIDTHS = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all languages, as wide as a telephone."""
    with open_browser(tmp_path_factory.mktemp("profile"), "420,900") as browser:
        yield browser


@pytest.mark.parametrize("language", ["", "de", "fr", "es", "nb"])
def test_a_mail_is_shown_as_it_is_meant(browser: Any, tmp_path: Path, language: str) -> None:
    """Nothing sticks out, the link is a button that leads where it says, a row's text runs no
    script.
    """
    from selenium.webdriver.common.by import By

    words = write("invite", language, VALUES)
    page = tmp_path / "mail.html"
    page.write_text(words.html, encoding="utf-8")
    browser.get(page.as_uri())
    assert browser.title == words.subject
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "We build a bridge.\n<script>document.title = 'taken'</script>" in text
    (button,) = browser.find_elements(By.TAG_NAME, "a")
    assert button.is_displayed()
    assert button.get_attribute("href") == VALUES["link"]
    whole, shown = browser.execute_script(_WIDTHS)
    assert whole <= shown
