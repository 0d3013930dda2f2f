"""`usher connections add --app`: one more customer of one application, with the real command and
the sandbox as Entra.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.reader import load_settings
from tests.places import Place
from tests.sandboxes import Sandbox, run_sandbox

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
    before = f"tags;name;daily_limit;tenant_id;app\r\neu;adatum;2000;{OTHER};msp"
    path = with_list(provider, before)
    tenant = entra.ready["tenant_id"]
    add = ("connections", "add", "fabrikam", "--app", "msp", "--tenant", tenant)
    done = provider.usher(*add, "--tag", "us", "--tag", "retail", "--tag", "us", "--wait", "20s")
    assert path.read_bytes().decode() == f'{before}\r\n"us;retail";fabrikam;;{tenant};msp\r\n'
    assert f"/{tenant}/adminconsent?client_id={entra.ready['client_id']}" in done.out
    for words in ("registered with your service provider", "User.Invite.All", "Signing in works"):
        assert words in done.out, done.out
    assert "App registrations" not in done.out
    assert done.status == 0, done.err
    twice = provider.usher(*add)
    assert (twice.status, "already" in twice.err) == (2, True)
    assert "us retail" in provider.usher("connections", "list", "-c", "tag:retail").out
    told = provider.usher("connections", "list", "-c", "tag:retail", "--json").json["connections"]
    assert [(one["connection"], one["tags"]) for one in told] == [("fabrikam", ["us", "retail"])]

    path.chmod(0o640)
    removed = provider.usher("connections", "remove", "fabrikam", "--json")
    assert (removed.status, removed.json["file"], removed.json["removed"]) == (0, str(path), True), removed.err
    assert (path.read_bytes().decode(), path.stat().st_mode & 0o777) == (f"{before}\r\n", 0o640)


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
