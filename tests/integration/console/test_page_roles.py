"""What a page offers, and what it does, goes by the role of whoever signed in."""

from __future__ import annotations

import pytest

from console.pages import routes
from console.pages.page import error_page
from console.parts import Parts
from tests.integration.console.conftest import SignInSite
from worker.channels import name_channel
from worker.ledger.lists.submissions import SUBMISSION
from worker.ledger.model import Lane, Outcome, RowState


@pytest.fixture
def site(signing: SignInSite) -> SignInSite:
    """A console with a sign-in and its pages."""
    signing.app.state.parts = Parts(signing.services)
    signing.app.state.error_page = error_page
    signing.app.include_router(routes.router)
    return signing


@pytest.mark.parametrize(
    ("person", "may_invite", "may_hold"),
    [
        ("margaret@partner", False, False),
        ("linus@partner", True, False),
        ("grace@contoso", True, False),
        ("ada@contoso", True, True),
    ],
)
async def test_a_page_offers_what_its_viewer_may_do(
    site: SignInSite, person: str, may_invite: bool, may_hold: bool
) -> None:
    """Whoever may only look sees no button that would be refused; who sends its form all the same
    is refused with a page.
    """
    browser = site.browser()
    html = {"Accept": "text/html", "Accept-Language": "de"}
    await browser.sign_in(f"{person}.example")
    connections = await browser.site.get("/connections", headers=html)
    assert connections.status_code == 200
    assert "Abmelden" in connections.text
    assert ('href="/invite"' in connections.text) is may_invite
    assert ("/hold" in connections.text) is may_hold
    invite = await browser.site.get("/invite", headers=html)
    assert invite.status_code == (200 if may_invite else 403)
    assert may_invite or "Das ist nicht erlaubt" in invite.text
    token = (await browser.site.get("/")).json()["token"]
    form = {"csrf_token": token, "reason": "by hand"}
    held = await browser.site.post("/connections/sandbox/hold", data=form, headers=browser.origin | html)
    assert held.status_code == (303 if may_hold else 403)
    assert (await site.services.gates.of("sandbox")).held is may_hold


async def test_what_took_something_away_is_tried_again_by_operators_alone(site: SignInSite) -> None:
    """Whoever may only submit is offered nothing of the kind, for a job or a submission, and is
    refused all the same.
    """
    jobs, submission = site.services.jobs, "s-aaaaaaaaaa"
    info = {"list": "leavers", SUBMISSION: submission}
    loading = await jobs.create("disabling", name_channel("sandbox", "disable"), Lane.BULK, info=info)
    assert loading is not None
    loading.put({"email": "a@partner.example"}, Outcome(0, RowState.FAILED, code="not_found", message="No guest."))
    await jobs.submissions.note(submission, {"disabling": "sandbox"})
    await jobs.start(loading)
    for person, may in (("linus@partner", False), ("ada@contoso", True)):
        browser, html = site.browser(), {"Accept": "text/html"}
        await browser.sign_in(f"{person}.example")
        token = (await browser.site.get("/")).json()["token"]
        for path in ("/jobs/disabling", f"/submissions/{submission}"):
            shown = await browser.site.get(path, headers=html)
            assert shown.status_code == 200
            assert (f"{path}/retry" in shown.text) is may
            if not may:
                form = {"csrf_token": token}
                refused = await browser.site.post(f"{path}/retry", data=form, headers=browser.origin | html)
                assert refused.status_code == 403
    assert [view.id for view in await jobs.listed()] == ["disabling"]


async def test_a_form_without_its_token_does_nothing(site: SignInSite) -> None:
    """Another site that sends a form in somebody's name is refused, with a page that says so."""
    browser = site.browser()
    await browser.sign_in("ada@contoso.example")
    for headers in (browser.origin, {"Origin": "https://elsewhere.example"}):
        told = {"Accept": "text/html"} | headers
        answer = await browser.site.post("/connections/sandbox/hold", data={"reason": "x"}, headers=told)
        assert answer.status_code == 403
        assert "<h1>That is not allowed</h1>" in answer.text
    assert not (await site.services.gates.of("sandbox")).held


async def test_a_list_belongs_to_whoever_sent_it(site: SignInSite) -> None:
    """Another person finds nothing at its address."""
    ada, linus = site.browser(), site.browser()
    await ada.sign_in("ada@contoso.example")
    await linus.sign_in("linus@partner.example")
    token = (await ada.site.get("/")).json()["token"]
    form = {"csrf_token": token, "addresses": "a@partner.example"}
    sent = await ada.site.post("/invite", data=form, headers=ada.origin)
    assert sent.status_code == 303, sent.text
    place = sent.headers["location"]
    assert "a@partner.example" in (await ada.site.get(place)).text
    refused = await linus.site.get(place, headers={"Accept": "text/html"})
    assert refused.status_code == 404
    assert "a@partner.example" not in refused.text
