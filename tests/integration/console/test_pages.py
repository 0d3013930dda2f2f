"""The pages in a real Chromium, as a new user comes to them: from a file to its results, held and
reopened, by the keyboard alone.
"""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.integration.console.readers import SEMICOLONS, Reader, run_pages
from tests.processes import wait_until
from tests.ushers import Usher


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
    there, and the job goes on. Another tab that shows the job follows it by itself, rows and all.
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
    first = reader.driver.current_window_handle
    reader.driver.switch_to.new_window("tab")
    second = reader.driver.current_window_handle
    reader.open(job)
    reader.says("still to do", "#found")
    reader.driver.switch_to.window(first)
    reader.press("To the connection contoso")
    reader.press("Reopen contoso")
    reader.says("open", "#contoso h2")
    reader.driver.close()
    reader.driver.switch_to.window(second)
    reader.until("the end of the job", lambda: "done" in reader.text("#job h2"))
    reader.until("the end of its row", lambda: "invited" in reader.text("#found tbody"))
    reader.open("/audit")
    reader.says("connection.reopened")


def test_another_account_approves(reader: Reader, pages_usher: Usher, folder: Path) -> None:
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
    with run_pages(pages_usher, "second", USHER_ACTOR="Grace") as url:
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
