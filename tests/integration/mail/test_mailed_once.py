"""Nobody is mailed twice, nor has their link replaced, where settings change under a job or its
rows are tried again.
"""

from __future__ import annotations

import pytest

from tests.integration.mail.test_own_mail import all_mails, mailing_site, mails, people, start_worker, submit
from tests.sandboxes import Sandbox


@pytest.mark.parametrize(("before", "after"), [("smtp", "graph"), ("graph", "smtp")])
async def test_who_mails_is_settled_when_a_job_is_submitted(
    valkey_url: str, sandbox: Sandbox, before: str, after: str
) -> None:
    """The settings change before the job is worked on: each guest is mailed once all the same."""
    async with mailing_site(valkey_url, sandbox, {"deliver": f'"{before}"'}) as site:
        job = await submit(site, people(3))
        path = site.folder / "usher.toml"
        path.write_text(path.read_text().replace(f'deliver = "{before}"', f'deliver = "{after}"'))
        start_worker(site)
        await site.ended(job)
        by_us, by_graph = len(all_mails(site)), len(mails(site, "invitation"))
        assert (by_us, by_graph) == ((3, 0) if before == "smtp" else (0, 3))
