"""The pages in a real Chromium, as a new user comes to them: from a file to its results, held and
reopened, by the keyboard alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_selenium_python import Axe
from selenium.webdriver.common.keys import Keys

from tests.browser import open_browser
from tests.integration.console.readers import SEMICOLONS, Reader, run_pages
from tests.processes import wait_until
from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """A whole usher, whose tests have jobs of their own; one of its connections requires
    approval.
    """

    def tables(ready: dict[str, Any]) -> str:
        return connection_table("contoso", ready) + connection_table("strict", ready, require_approval="true")

    options = ("--quota", "off", "--latency", "0.02", "--replication", "0")
    with run_usher(folder, sandbox_options=options, tables=tables) as usher:
        yield usher


@pytest.fixture(scope="module")
def opened(usher: Usher, folder: Path) -> Iterator[Reader]:
    """One browser and one console for all tests of this file."""
    with run_pages(usher, USHER_ACTOR="Ada") as url, open_browser(folder / "chromium", "1200,1000") as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        yield Reader(driver, url)


@pytest.fixture
def reader(opened: Reader) -> Reader:
    """A reader who begins anew."""
    opened.driver.switch_to.new_window("tab")
    opened.open("/")
    opened.driver.delete_all_cookies()
    opened.refused()
    return opened


def test_a_list_goes_from_a_file_to_its_results(reader: Reader, folder: Path) -> None:
    """A semicolon Windows-1252 list with a bad row: how it was read, what would happen, sent, done,
    its rows found by outcome and by name; the page follows the job by itself.
    """
    file = folder / "gäste.csv"
    file.write_bytes(SEMICOLONS)
    reader.send(file)
    reader.says("CSV with semicolons, Windows-1252, headings in line 1")
    reader.says("Zoë Müller")
    assert "is not an e-mail address" in reader.text("table")
    reader.fill("pilot", "")
    reader.press("Look what would happen")
    reader.find("#would")
    reader.says("Send 2 invitations", "#would + dl ~ form, form")
    reader.press("Send 2")
    reader.find("#job")
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))
    assert reader.text("#job").count("2\ninvited") == 1
    reader.choose("ended", "failed")
    reader.until("the bad row alone", lambda: "zoe" not in reader.text("#found") and "keine" in reader.text("#found"))
    reader.choose("ended", "")
    reader.fill("q", "jörg")
    reader.until("one row", lambda: len(reader.all("#found tbody tr")) == 1)
    job = reader.path.removeprefix("/jobs/")
    reader.press("CSV")
    results = wait_until(lambda: [*folder.glob(f"*{job}*.csv")], 20, "the results")[0]
    assert results.read_text(encoding="utf-8-sig").count(",invited,") == 2
    reader.press("My own file")
    reader.find("#own").send_keys(str(file))
    reader.press("Give it back")
    beside = wait_until(lambda: [*folder.glob("gäste-with-outcomes.csv")], 20, "the list with the outcomes")[0]
    lines = beside.read_text(encoding="cp1252").splitlines()
    assert lines[0].startswith("Name;E-Mail;Firma;")
    assert [line.split(";")[3] for line in lines[1:]] == ["invited", "failed", "invited", "skipped"]
    assert not reader.refused()


def test_another_column_is_chosen(reader: Reader, folder: Path) -> None:
    """Where a list has two columns with addresses the page asks, and reads as it is told; that can
    be told otherwise.
    """
    file = folder / "two.csv"
    file.write_text("Email;Email privat;Name\na@work.example;a@home.example;Ada\n", encoding="utf-8")
    reader.open("/invite")
    reader.find("#list").send_keys(str(file))
    reader.says("has two columns for email. Which one is to be read?")
    reader.find("#choice-2").click()
    reader.press("Read it so")
    reader.until("the private address", lambda: "a@home.example" in reader.text("table"))
    reader.press("That is not how it is meant")
    reader.choose("email_column", "Email")
    reader.press("Read again")
    reader.until("the other address", lambda: "a@work.example" in reader.text("table"))
    assert "a@home.example" not in reader.text("table")


def test_a_list_that_cannot_be_read_says_so(reader: Reader, folder: Path) -> None:
    """A sentence, and another list can be given."""
    file = folder / "web.csv"
    file.write_text("<html><body>no list</body></html>", encoding="utf-8")
    reader.open("/invite")
    reader.find("#list").send_keys(str(file))
    reader.says("is a web page or XML", ".note.bad")
    reader.press("Another list")
    reader.find("#list")


def test_a_held_connection_is_understood_and_reopened(reader: Reader, folder: Path) -> None:
    """The job says in plain words why it waits and who ends that; the connection is reopened from
    there, and the job goes on.
    """
    reader.open("/connections")
    reader.press("Hold contoso")
    reader.fill("reason", "a new contract")
    reader.press("Hold: nothing is sent")
    reader.says("held", "#contoso h2")
    file = folder / "held.csv"
    file.write_text("email\nheld@partner.example\n", encoding="utf-8")
    reader.invite(file)
    reader.says("Somebody who operates usher holds it", "#job .note.bad")
    reader.says("a new contract", "#job .note.bad")
    job = reader.path
    reader.press("To the connection contoso")
    reader.press("Reopen contoso")
    reader.says("open", "#contoso h2")
    reader.open(job)
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))
    reader.open("/audit")
    reader.says("connection.reopened")


def test_another_account_approves(reader: Reader, usher: Usher, folder: Path) -> None:
    """Whoever submitted it may not, and is told so; somebody else sees what waits, approves it, and
    the job runs.
    """
    file = folder / "strict.csv"
    file.write_text("email\nstrict@partner.example\n", encoding="utf-8")
    reader.send(file)
    reader.choose("connection", "strict")
    reader.press("Look what would happen")
    reader.says("This connection requires approval")
    reader.press("Ask for approval")
    reader.says("Nothing is sent until somebody other than Ada")
    reader.press("Approve")
    reader.says("somebody else must approve it", ".note.bad")
    with run_pages(usher, "second", USHER_ACTOR="Grace") as url:
        job, reader_url = reader.path.removesuffix("/approve"), reader.url
        other = Reader(reader.driver, url)
        other.open(job)
        other.says("strict@partner.example", "#job")
        other.press("Look what would become of the rows")
        other.says("would be invited", "#job")
        other.press("Approve")
        other.until("the end of the job", lambda: "done" in other.text("#job h2"))
        assert "Grace" in other.text("dl.facts")
        assert other.url != reader_url


def test_a_list_is_sent_by_the_keyboard_alone(reader: Reader) -> None:
    """Tab, typing, Enter: from the start page to a job that is done, the focus being seen
    everywhere.
    """
    reader.open("/")
    reader.tab_to(lambda one: one.text == "Skip to the content").send_keys(Keys.ENTER)
    field = reader.tab_to(lambda one: one.get_attribute("name") == "addresses")
    assert reader.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    field.send_keys("by-keyboard@partner.example")
    reader.tab_to(lambda one: one.text == "Read the list").send_keys(Keys.ENTER)
    reader.find("#read")
    reader.tab_to(lambda one: one.text == "Look what would happen").send_keys(Keys.ENTER)
    reader.find("#would")
    reader.tab_to(lambda one: one.text.startswith("Send 1")).send_keys(Keys.ENTER)
    reader.find("#job")
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))


def test_guests_are_chosen_looked_at_and_disabled(reader: Reader) -> None:
    """Whom the page shows is ticked; it says what would become of each, and does it only then."""
    reader.open("/guests?connection=contoso")
    reader.says("guests are in this tenant")
    reader.find("input[aria-label='linus@partner.example']").click()
    reader.press("Disable …")
    reader.says("Nothing has been done yet.")
    asking = reader.driver.current_window_handle
    reader.driver.switch_to.new_window("tab")
    reader.open("/guests?connection=contoso&enabled=no")
    assert "linus" not in reader.text("table")
    reader.driver.switch_to.window(asking)
    reader.press("Disable: 1 guest")
    reader.find("#job")
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))
    job = reader.path
    reader.open("/guests?connection=contoso&enabled=no")
    reader.says("linus@partner.example")
    reader.open(job)
    reader.press("Undo …")
    reader.says("Nothing has been done yet.")
    reader.press("Undo: 1 guest")
    reader.until("the end of the other job", lambda: reader.path != job and "done" in reader.text("#job h2"))
    reader.open("/guests?connection=contoso&enabled=no")
    reader.until("no more than before", lambda: "linus@partner.example" not in reader.text("main"))
    assert not reader.refused()


def test_what_a_list_or_graph_says_is_never_markup(reader: Reader, folder: Path) -> None:
    """Names, addresses, a file's name and a reason are shown as they stand, and nothing of them
    runs.
    """
    attack = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    file = folder / "<b>bold<b>.csv"
    file.write_text(f'email;name;company\nxss@partner.example;"{attack.replace(chr(34), chr(34) * 2)}";{{{{7*7}}}}\n')
    reader.send(file)
    assert attack in reader.text("table")
    reader.press("More options")
    reader.fill("reason", attack)
    reader.press("Look what would happen")
    reader.find("#would")
    reader.press("Send 1")
    reader.find("#job")
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))
    assert attack in reader.text("#found")
    assert attack in reader.text("dl.facts")
    reader.open("/guests?connection=contoso")
    reader.says(attack)
    assert "pwned" not in reader.driver.title
    assert not reader.all("main img, main script")


_WITH_NOTHING_THERE = ("/invite", "/jobs", "/guests", "/schedules", "/nothing")


@pytest.fixture(scope="module")
def every_page(opened: Reader, folder: Path) -> list[str]:
    """The addresses of all pages, in all their states: a list that was read, one that is open to
    question, one that was looked at, a job with bad rows, its rows, one that waits.
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
        reader.find("form[action='/guests/do'], h1")

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

    goes = [*(partial(reader.open, path) for path in every_page), tick, check, hold, reopen]
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
