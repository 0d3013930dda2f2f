"""People sign in with Entra, played by the sandbox."""

from __future__ import annotations

from tests.integration.console.conftest import SignInSite


async def test_whoever_comes_by_another_address_signs_in_at_the_right_one(signing: SignInSite) -> None:
    """Sent there once, whatever a proxy makes of the host."""
    browser = signing.browser()
    answer = await browser.site.get("/signin?to=/jobs", headers={"Host": "elsewhere.example"})
    place = answer.headers["location"]
    assert place == f"{signing.url}/signin?to=%2Fjobs&moved=true"
    answer = await browser.site.get(place, headers={"Host": "elsewhere.example"})
    assert answer.headers["location"].startswith(signing.sandbox.ready["url"])


async def test_a_person_signs_in_and_comes_back_to_the_page(signing: SignInSite) -> None:
    """The authorization code flow from the beginning to the end: the page says who it is, the audit
    trail has Entra's ids and the name.
    """
    browser = signing.browser()
    asked = await browser.site.get("/jobs?state=held&q=a%26b")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/signin?to=/jobs%3Fstate%3Dheld%26q%3Da%2526b"
    place = (await browser.site.get(asked.headers["location"])).headers["location"]
    answer = await browser.bring(await browser.choose(place, "ada@contoso.example"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=held&q=a%26b")
    told = (await browser.site.get("/jobs")).json()
    assert (told["name"], told["role"], told["local"]) == ("Ada Lovelace", "operate", False)
    acting = (await browser.post("/operate")).json()["acting"]
    assert acting.startswith("Ada Lovelace (")
    assert acting.endswith(f"@{signing.sandbox.ready['tenant_id']})")
    events = [event async for event in signing.services.trail.events()]
    assert [(event.what, event.by, dict(event.facts)) for event in events] == [
        ("console.signed_in", acting, {"role": "operate"})
    ]


async def test_an_assertion_that_cannot_be_read_is_a_sentence(signing: SignInSite) -> None:
    """Its file is read once a person has come back: which setting it is the log says, to whoever
    runs usher, and no page.
    """
    text = signing.config.read_text()
    secret = next(line for line in text.splitlines() if line.startswith("client_secret"))
    signing.config.write_text(text.replace(secret, 'client_assertion = "file:gone"'))
    browser = signing.browser()
    place = (await browser.site.get("/signin?to=/jobs")).headers["location"]
    answer = await browser.bring(await browser.choose(place, "ada@contoso.example"))
    assert answer.status_code == 503
    assert "whoever runs usher" in answer.text.lower()
