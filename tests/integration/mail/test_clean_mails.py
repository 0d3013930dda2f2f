"""A connection that mails guests itself is cleaned up by two jobs, of which one command tells."""

from __future__ import annotations

from typing import Any

from tests.cleaned import QUOTA, ROLES, clean, configure
from tests.integration.mail.test_own_mail import MAILBOX, start_worker, with_key
from tests.sandboxes import Sandbox
from tests.sites import open_site


async def test_one_object_tells_of_the_reminders_and_of_the_rest(valkey_url: str, sandbox: Sandbox) -> None:
    """Its counts are of both jobs, which stand in it by themselves too, the reminders first."""
    lines: dict[str, Any] = {**MAILBOX, "roles": [*ROLES, "Mail.Send"], "quota": QUOTA}
    async with open_site(valkey_url, sandbox, latency="0", replication="0", **lines) as site:
        configure(site, spare_addresses="", spare_groups="")
        kinds = site.sandbox.ask("populate", {"count": 5, "kinds": ["pending_due", "inactive"]})["kinds"]
        start_worker(site)
        status, told, err = clean(site, "--yes", **with_key(site))
        assert status == 0, err
        reminders, rest = told["jobs"]
        assert (reminders["operation"], rest["operation"]) == ("remind", "clean")
        assert (reminders["done"], rest["done"]) == (len(kinds["pending_due"]), len(kinds["inactive"]))
        assert (told["job"], told["rows"], told["done"]) == (rest["job"], 5, 5)
        assert told["stages"]["disable"]["done"] == rest["done"]
        assert told["plan"]["would"] == {"remind": reminders["done"], "disable": rest["done"], "delete": 0}
