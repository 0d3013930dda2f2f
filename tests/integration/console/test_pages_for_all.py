"""Everybody can use the pages: with a screen reader, on a phone, in both languages and themes,
without JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_selenium_python import Axe

from tests.integration.console.readers import SEMICOLONS, Reader
from tests.processes import wait_until

_WITH_NOTHING_THERE = ("/invite", "/jobs", "/guests", "/schedules", "/nothing")


@pytest.fixture(scope="module")
def every_page(opened: Reader, folder: Path) -> list[str]:
    """The addresses of all pages, in all their states: a list that was read, one that is open to
    question, one that was looked at, a job with bad rows, its rows, one that waits; one through
    several connections.
    """
    file = folder / "for-everybody.csv"
    file.write_bytes(SEMICOLONS.replace(b"@", b"@axe."))
    opened.driver.switch_to.new_window("tab")
    opened.send(file)
    pages = [opened.path]
    opened.press("Look what would happen")
    opened.find("#would")
    pages.append(opened.path)
    job = opened.invite(file)
    opened.send(file)
    opened.choose("connection", "all")
    opened.press("Look what would happen")
    opened.find("#would")
    pages.append(opened.path)
    opened.send(file)
    opened.choose("connection", "all")
    opened.press("Look what would happen")
    opened.find("#would")
    opened.press("Send ")
    opened.find("#job")
    pages.append(opened.path)
    two = folder / "two-for-everybody.csv"
    two.write_text("Email;Email privat\na@work.example;a@home.example\n", encoding="utf-8")
    opened.open("/invite")
    opened.find("#list").send_keys(str(two))
    opened.find("#choice-1")
    pages.append(opened.path)
    more = (f"/jobs/{job}", f"/jobs/{job}/rows?ended=failed", "/guests?connection=contoso", "/connections", "/audit")
    return [*_WITH_NOTHING_THERE, *pages, *more]


@pytest.mark.parametrize("language", ["en", "de"])
def test_everybody_can_use_every_page(reader: Reader, every_page: list[str], language: str) -> None:
    """axe finds nothing that keeps anybody out, in both languages, light and dark, wide and
    narrow.
    """
    reader.speak(language)
    found: list[Any] = []

    def tick() -> None:
        reader.open("/guests?connection=contoso")
        reader.find("input[name=guest]").click()
        reader.find("button[value=remind]").click()
        reader.find("a.button[href^='/guests?']")

    def check() -> None:
        reader.open("/connections")
        reader.find("form[action='/connections/contoso/check'] button").click()
        reader.find("[role=status]")

    def hold() -> None:
        reader.open("/connections")
        reader.driver.execute_script(
            "document.querySelector('form[action$=\"strict/hold\"]').closest('details').open = true"
        )
        reader.find("form[action$='strict/hold'] input[name=reason]").send_keys("a pause")
        reader.find("form[action$='strict/hold'] button").click()
        reader.find("form[action$='strict/reopen']")

    def reopen() -> None:
        reader.find("form[action$='strict/reopen'] button").click()
        reader.find("form[action$='strict/hold']")

    opens = (partial(reader.open, path) for path in every_page)
    goes: list[Callable[[], None]] = [*opens, tick, check, hold, reopen]
    for number, go in enumerate(goes):
        reader.driver.set_window_size(*((1200, 1000) if number % 2 else (420, 900)))
        go()
        path = reader.path
        assert reader.find("html").get_attribute("lang") == language
        axe = Axe(reader.driver)
        axe.inject()
        for theme in ("light", "dark"):
            reader.dim(theme)
            for fault in axe.run()["violations"]:
                places = [place["html"] for place in fault["nodes"]]
                found.append((path, theme, fault["id"], fault["help"], places[:3]))
    reader.driver.set_window_size(1200, 1000)
    reader.dim("light")
    assert not found, "\n".join(map(str, found))


def test_a_page_fits_a_phone(reader: Reader, every_page: list[str]) -> None:
    """Nothing but tables, which scroll by themselves, is wider than the screen."""
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for path in every_page:
            reader.open(path)
            assert reader.driver.execute_script("return document.documentElement.scrollWidth") <= 360, path
        reader.open("/jobs")
        edge = "return document.querySelector('tbody .state').getBoundingClientRect().right"
        assert reader.driver.execute_script(edge) <= 360, "how a job stands is seen without scrolling"
    finally:
        reader.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_list_is_sent_without_javascript(opened: Reader) -> None:
    """Forms and links alone, as a browser without scripts has them, go as far as a job."""
    with requests.Session() as browser:
        browser.headers["Origin"] = opened.url

        def follow(path: str, **form: Any) -> str:
            page = browser.get(opened.url + path, timeout=20).text
            token = page.split('name="csrf_token" value="')[1].partition('"')[0]
            files = {"list": ("gäste.csv", SEMICOLONS.replace(b"@", b"@plain."))} if path == "/invite" else None
            answer = browser.post(
                opened.url + form.pop("to", path), data={"csrf_token": token, **form}, files=files, timeout=20
            )
            assert answer.status_code == 200, answer.text
            return answer.url.removeprefix(opened.url)

        def until(path: str, look: Callable[[requests.Response], bool]) -> requests.Response:
            found: list[requests.Response] = []

            def ask() -> bool:
                found[:] = [browser.get(opened.url + path, timeout=20)]
                return look(found[0])

            wait_until(ask, 30, f"what {path} leads to")
            return found[0]

        at = follow("/invite")
        looking = follow(at, to=f"{at}/look", read="{}", connection="contoso")
        until(looking, lambda answer: f"{at}/send" in answer.text)
        sending = follow(looking, to=f"{at}/send")
        answer = until(sending, lambda answer: "/jobs/" in answer.url)
        assert "gäste.csv" in answer.text
