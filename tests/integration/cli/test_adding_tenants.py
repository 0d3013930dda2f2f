"""`usher connections add --app`: one more customer of one application, with the real command and
the sandbox as Entra.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from tests.places import Place
from tests.processes import wait_until
from tests.sandboxes import Sandbox, run_sandbox
from tests.terminals import Terminal

OTHER = "00000000-0000-4000-8000-000000000011"


@pytest.fixture(scope="module")
def entra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two tenants; the application is in the first alone."""
    with run_sandbox(tmp_path_factory.mktemp("entra"), "--tenants", "2") as sandbox:
        yield sandbox


@pytest.fixture
def provider(bare_place: Place, entra: Sandbox) -> Place:
    """A configuration with an application."""
    ready: dict[str, Any] = entra.ready
    told = {
        "client_id": ready["client_id"],
        "client_secret": f"file:{ready['client_secret_file']}",
        "authority": ready["url"],
        "graph_url": ready["graph_url"],
        "ca_file": ready["ca_file"],
    }
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
    bare_place.env["USHER_CONFIG"] = bare_place.write("usher.toml", f"[apps.msp]\n{table}")
    return bare_place


def with_list(place: Place, content: str) -> Path:
    """Let the configuration name a list."""
    config = place.folder / "usher.toml"
    config.write_text(f'connections_file = "tenants.csv"\n{config.read_text()}')
    return Path(place.write("tenants.csv", content))


def test_a_tenant_becomes_a_line_of_the_list_and_is_checked(provider: Place, entra: Sandbox) -> None:
    """Separator, order, columns and other lines stay; the link is the tenant's; a token is the
    consent.
    """
    before = f"tags;name;daily_limit;tenant_id;app\r\neu;adatum;2000;{OTHER};msp\r\n"
    path = with_list(provider, before)
    tenant = entra.ready["tenant_id"]
    add = ("connections", "add", "fabrikam", "--app", "msp", "--tenant", tenant)
    done = provider.usher(*add, "--tag", "us", "--tag", "retail", "--tag", "us", "--wait", "20s")
    assert path.read_bytes().decode() == f'{before}"us;retail";fabrikam;;{tenant};msp\r\n'
    assert f"/{tenant}/adminconsent?client_id={entra.ready['client_id']}" in done.out
    for words in ("registered with your service provider", "User.Invite.All", "Signing in works"):
        assert words in done.out, done.out
    assert "App registrations" not in done.out
    assert "Empty in its line: daily_limit." in done.out
    assert done.status == 0, done.err
    twice = provider.usher(*add)
    assert (twice.status, "already" in twice.err) == (2, True)
    assert "us retail" in provider.usher("connections", "list", "-c", "tag:retail").out
    told = provider.usher("connections", "list", "-c", "tag:retail", "--json").json["connections"]
    assert [(one["connection"], one["tags"]) for one in told] == [("fabrikam", ["us", "retail"])]

    path.chmod(0o640)
    removed = provider.usher("connections", "remove", "fabrikam", "--json")
    assert (removed.status, removed.json["file"], removed.json["removed"]) == (0, str(path), True), removed.err
    assert (removed.json["line"]["tags"], removed.json["line"]["daily_limit"]) == ("us;retail", "")
    assert (path.read_bytes().decode(), path.stat().st_mode & 0o777) == (before, 0o640)


def test_a_line_that_is_removed_is_told(provider: Place) -> None:
    """With its headings: a customer that comes back gets its settings again."""
    with_list(provider, f"name,tenant_id,app,daily_limit\nadatum,{OTHER},msp,\nbellows,{OTHER[:-1]}9,msp,250\n")
    removed = provider.usher("connections", "remove", "bellows")
    assert removed.status == 0, removed.err
    assert f"name,tenant_id,app,daily_limit\nbellows,{OTHER[:-1]}9,msp,250\n" in removed.out


def test_without_a_list_it_becomes_a_table(provider: Place, entra: Sandbox) -> None:
    """And with --json one object says all."""
    tenant = entra.ready["tenant_id"]
    add = ("connections", "add", "fabrikam", "--app", "msp", "--tenant", tenant)
    done = provider.usher(*add, "--tag", "eu", "--json")
    assert (done.status, done.json["app"], tenant in done.json["url"]) == (0, "msp", True), done.err
    connection = load_settings(path=provider.folder / "usher.toml").connection("fabrikam")
    assert (connection.app, connection.tenant_id, connection.tags) == ("msp", tenant, ("eu",))


def test_waiting_ends_where_nobody_consents(provider: Place, entra: Sandbox) -> None:
    """The line stays, and the sentence says how to go on."""
    path = with_list(provider, f"name,tenant_id,app\nadatum,{OTHER},msp\n")
    tenant = entra.ready["tenants"][1]["tenant_id"]
    done = provider.usher("connections", "add", "bellows", "--app", "msp", "--tenant", tenant, "--wait", "0.1s")
    assert (done.status, "Nobody has consented" in done.err) == (2, True), done
    assert path.read_text().endswith(f"\nbellows,{tenant},msp\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--app", "mps"), "did you mean msp"),
        (("--app", "msp", "--client-id", OTHER), "--client-id is the application's"),
        (("--app", "msp", "--json", "--wait", "1s"), "--wait shows the link first"),
        (("--wait", "1s"), "--wait belongs to --app"),
        (("--for", "invite"), "--for belongs to --app"),
        (("--app", "msp", "--sandbox", "x.json"), "usher connections add-app msp --sandbox FILE writes it"),
        (("--tag", "E U"), "--tag: 'E U' must be a name"),
    ],
)
def test_what_cannot_be_is_refused_first(provider: Place, options: tuple[str, ...], words: str) -> None:
    """Nothing is written."""
    before = (provider.folder / "usher.toml").read_bytes()
    done = provider.usher("connections", "add", "fabrikam", "--tenant", OTHER, *options)
    assert (done.status, words in done.err) == (2, True), done
    assert (provider.folder / "usher.toml").read_bytes() == before


def test_a_list_without_the_column_stays_as_it_is(provider: Place, entra: Sandbox) -> None:
    """The sentence names the column."""
    path = with_list(provider, f"name,tenant_id,client_id,client_secret\nadatum,{OTHER},{OTHER},env:X\n")
    before = path.read_bytes()
    tenant = entra.ready["tenant_id"]
    done = provider.usher("connections", "add", "fabrikam", "--app", "msp", "--tenant", tenant)
    assert (done.status, "has no column app" in done.err, path.read_bytes() == before) == (2, True, True), done


def test_from_an_empty_folder_to_a_tenant_that_consents(bare_place: Place, tmp_path: Path) -> None:
    """The application and its list are made, one upload counts for all, and waiting ends when the
    link of the ticket was opened and accepted.
    """
    bare_place.env["USHER_CONFIG"] = str(bare_place.folder / "usher.toml")
    ready = str(tmp_path / "sandbox.json")
    with run_sandbox(tmp_path, "--tenants", "2", "--shared-app", "--unconsented") as entra:
        done = bare_place.usher("connections", "add-app", "msp", "--sandbox", ready, "--json")
        assert done.status == 0, done.err
        assert (bare_place.folder / "tenants.csv").read_text() == "name,tenant_id,app,tags\n"
        again = bare_place.usher("connections", "add-app", "msp", "--sandbox", ready)
        assert (again.status, "has an [apps.msp] already" in again.err) == (2, True), again
        add = ("connections", "add", "bellows", "--app", "msp", "--tenant", "tenant0002.example", "--tag", "eu")
        with ThreadPoolExecutor(1) as pool:
            adding = pool.submit(bare_place.usher, *add, "--wait", "60s", "--for", "invite,disable")
            entra.ask("certificate", {"file": done.json["upload"]})
            tenant = entra.ready["tenants"][1]
            wait_until(lambda: "700016" in entra.ask("stats")["tokens_refused"], 20, "the first ask for a token")
            link = f"{entra.ready['url']}/{tenant['tenant_id']}/adminconsent?client_id={done.json['client_id']}"
            assert "Consented" in _accept(link, entra)
            added = adding.result()
        assert added.status == 0, added.err
        _, ticket, rest = added.out.split("-" * 80)
        assert link in ticket
        for words in ("User.EnableDisableAccount.All", "do not consent, and ask your service provider"):
            assert words in ticket
        for words in ("usher connections", "--for", "TCP port", "Without it"):
            assert words not in ticket
        assert "Signing in works" in rest
        first = bare_place.usher("connections", "add", "adatum", "--app", "msp", "--tenant", "contoso.example")
        assert (first.status, "usher connections check adatum" in first.out) == (0, True), first
        entra.ask("consent", {"tenant_id": "contoso.example", "action": "give"})
        assert bare_place.usher("connections", "check", "all").status == 0
        both = bare_place.usher("connections", "consent", "all", "--for", "invite,disable")
        assert both.out.count("Subject: ") == 2
        assert both.out.endswith("usher connections check all --for invite,disable\n")
        told = bare_place.usher("connections", "consent", "tag:eu", "--json").json["connections"]
        assert [(one["connection"], one["url"]) for one in told] == [("bellows", link)]


def test_a_list_that_is_not_there_is_begun_with_its_first_tenant(provider: Place, entra: Sandbox) -> None:
    """It has its headings; where nothing can be added, it is as it was before."""
    path = with_list(provider, "")
    add = ("connections", "add", "fabrikam", "--tenant", entra.ready["tenant_id"], "--app")
    assert provider.usher(*add, "mps").status == 2
    assert path.read_bytes() == b""
    path.unlink()
    assert provider.usher(*add, "mps").status == 2
    assert not path.exists()
    done = provider.usher(*add, "msp")
    assert done.status == 0, done.err
    assert path.read_text() == f"name,tenant_id,app,tags\nfabrikam,{entra.ready['tenant_id']},msp,\n"


def test_waiting_ends_at_once_where_the_credential_is_refused(provider: Place, entra: Sandbox) -> None:
    """Whether consent was given is not known then; the line stays."""
    path = with_list(provider, "name,tenant_id,app\n")
    entra.ask("secret", {"action": "disable"})
    try:
        tenant = entra.ready["tenant_id"]
        done = provider.usher("connections", "add", "adatum", "--app", "msp", "--tenant", tenant, "--wait", "20s")
    finally:
        entra.ask("secret", {"action": "enable"})
    assert (done.status, "So nobody can say whether consent was given" in done.err) == (2, True), done
    assert "usher connections check adatum" in done.err
    assert path.read_text().endswith(f"\nadatum,{tenant},msp\n")


def test_the_link_is_one_line_on_a_narrow_terminal(provider: Place, entra: Sandbox) -> None:
    """It is copied from there, by `add` and by `consent`."""
    with_list(provider, "")
    tenant = entra.ready["tenant_id"]
    link = f"{entra.ready['url']}/{tenant}/adminconsent?client_id={entra.ready['client_id']}"
    narrow = provider.env | {"COLUMNS": "60"}
    for command in (("add", "adatum", "--app", "msp", "--tenant", tenant), ("consent", "adatum"), ("consent", "all")):
        terminal = Terminal(narrow, provider.folder, "connections", *command)
        assert terminal.wait() == 0, terminal.text
        assert link in terminal.text.split(), terminal.text


def test_a_managed_identity_reaches_no_customer(provider: Place, entra: Sandbox) -> None:
    """That is said before the customer is asked; what would reach it is named."""
    config = provider.folder / "usher.toml"
    secret = next(line for line in config.read_text().splitlines() if line.startswith("client_secret"))
    config.write_text(config.read_text().replace(secret, 'managed_identity = "system"'))
    done = provider.usher("connections", "add", "adatum", "--app", "msp", "--tenant", entra.ready["tenant_id"])
    assert done.status == 0, done.err
    assert 'client_assertion = "managed_identity:CLIENT_ID"' in done.err


def _accept(link: str, entra: Sandbox) -> str:
    """Press the page's button."""
    context = ssl.create_default_context(cafile=entra.ready["ca_file"])
    with urllib.request.urlopen(link, b"", context=context, timeout=20) as answer:  # noqa: S310 - https
        return str(answer.read().decode())
