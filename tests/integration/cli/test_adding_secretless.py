"""`usher connections add` proposes to keep no secret where usher runs in a place that vouches for
it, with the real command and the sandbox as that place.
"""

from __future__ import annotations

import pytest

from config.reader import load_settings
from tests.integration.cli.test_connecting import rehearsal
from tests.places import Place, Typist
from tests.sandboxes import Sandbox

SUBJECT = "system:serviceaccount:usher:worker"


@pytest.fixture
def ready(bare_place: Place, sandbox: Sandbox) -> dict[str, str]:
    """What the run's sandbox is, with nothing that an earlier test asked of it."""
    sandbox.ask("reset", {})
    found: dict[str, str] = sandbox.ready
    return found


def test_a_pod_answers_with_what_its_environment_says(
    bare_place: Place, sandbox: Sandbox, ready: dict[str, str]
) -> None:
    """Tenant, client and the file of its token: Enter three times, and it signs in."""
    sandbox.ask("federation", {"action": "trust", "subject": SUBJECT})
    token = sandbox.ask("federation", {"action": "assertion", "subject": SUBJECT})["assertion"]
    bare_place.env |= {
        "AZURE_FEDERATED_TOKEN_FILE": bare_place.write("azure-identity-token", token),
        "AZURE_TENANT_ID": ready["tenant_id"],
        "AZURE_CLIENT_ID": ready["client_id"],
    }
    typist = Typist(bare_place, "connections", "add", "trial", *rehearsal(sandbox))
    for question in (f"[{ready['tenant_id']}]", f"[{ready['client_id']}]", "keep no secret? [Y/n]"):
        typist.read_until(question)
        typist.type("\n")
    done = typist.end()
    assert (done.status, "Entra takes the client assertion" in done.out) == (0, True), done.out
    connection = load_settings(path=bare_place.folder / "usher.toml").connection("trial")
    assert (connection.tenant_id, connection.client_secret) == (ready["tenant_id"], ())
    assert bare_place.usher("connections", "check", "trial").status == 0


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"IDENTITY_ENDPOINT": "/msi/token", "IDENTITY_HEADER": ""}, "App Service"),
        ({"IDENTITY_ENDPOINT": "/himds/metadata/identity/oauth2/token", "IMDS_ENDPOINT": ""}, "Azure Arc"),
    ],
)
def test_a_platform_is_proposed_first(
    bare_place: Place, sandbox: Sandbox, ready: dict[str, str], env: dict[str, str], place: str
) -> None:
    """One without an identity says so, and the usual question follows; a script is told of the
    option.
    """
    bare_place.env |= {name: ready["url"] + path for name, path in env.items()}
    known = ("--tenant", ready["tenant_id"], "--client-id", ready["client_id"])
    typist = Typist(bare_place, "connections", "add", "trial", *rehearsal(sandbox), *known)
    typist.read_until(f"usher runs in {place}, which can vouch for it")
    typist.type("y\n")
    typist.read_until("[c/s]")
    assert "managed identity" in typist.text
    typist.type("\x03")
    typist.end()
    script = bare_place.usher("connections", "add", "trial", *rehearsal(sandbox), *known)
    assert (script.status, "--managed-identity system keeps no secret" in script.err) == (2, True), script


def test_a_managed_identity_needs_no_consent_page(bare_place: Place, sandbox: Sandbox, ready: dict[str, str]) -> None:
    """It has no registration: the ticket holds the commands that let it have permissions."""
    sandbox.ask("federation", {"action": "identity", "system": True})
    bare_place.env |= {"IDENTITY_ENDPOINT": f"{ready['url']}/msi/token", "IDENTITY_HEADER": "x"}
    known = ("--tenant", ready["tenant_id"], "--client-id", ready["client_id"], "--managed-identity", "system")
    added = bare_place.usher("connections", "add", "trial", *rehearsal(sandbox), *known)
    assert (added.status, "takes the managed identity" in added.out) == (0, True), added
    ticket = bare_place.usher("connections", "consent", "trial", "--for", "invite,lookup")
    assert ticket.status == 0, ticket.err
    for words in ("New-MgServicePrincipalAppRoleAssignment", "'User.Invite.All', 'User.Read.All'", ready["client_id"]):
        assert words in ticket.out, ticket.out
    assert "adminconsent" not in ticket.out
    told = bare_place.usher("connections", "consent", "trial", "--json").json
    assert (told["url"], "Connect-MgGraph" in told["commands"][0]) == (None, True)
