from __future__ import annotations

from pathlib import Path

import pytest

from tests.configs import CONTOSO, TENANT, faults_of, load

OTHER = "22222222-2222-4333-8444-555555555555"
CONSOLE = f"""
[console]
tenant_id = "{TENANT.upper()}"
client_id = "{OTHER}"
client_secret = "file:secret"
public_url = "https://Usher.contoso.com/"
"""
PRODUCER = """
[producers.hr]
token = ["file:hr", "file:hr-next"]
connections = "contoso"
"""


def test_without_it_nobody_signs_in(tmp_path: Path) -> None:
    """The console then serves this machine alone, and no program is asked for a token."""
    settings = load(tmp_path, "")
    assert (settings.console.signs_in, settings.console.takes_tokens, settings.producers) == (False, False, {})
    assert (settings.console.idle_s, settings.console.session_s) == (3600, 43_200)


def test_sign_in_names_an_application_and_the_consoles_own_address(tmp_path: Path) -> None:
    """Its ids are kept in small letters, its address without a slash at the end."""
    console = load(tmp_path, CONSOLE).console
    assert console.signs_in
    assert console.takes_tokens
    assert (console.tenants, console.audiences) == ((TENANT,), (OTHER,))
    assert (console.public_url, console.login_url) == ("https://usher.contoso.com", "https://login.microsoftonline.com")
    assert console.connection.client_secret[0].target == str(tmp_path / "secret")
    assert console.connection.authority == f"https://login.microsoftonline.com/{TENANT}"


def test_the_two_ids_alone_let_programs_in(tmp_path: Path) -> None:
    """Without a credential nobody signs in."""
    console = load(
        tmp_path, f'[console]\ntenant_id = "{TENANT}"\nclient_id = "{OTHER}"\naudience = "api://usher"'
    ).console
    assert (console.signs_in, console.takes_tokens, console.audiences) == (False, True, ("api://usher",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('tenant_id = "contoso.com"', "tenant_id must be an id (11111111-2222-3333-4444-555555555555), which the"),
        (f'tenant_id = "{TENANT}"', "client_id is missing"),
        (f'client_id = "{TENANT}"', "tenant_id is missing"),
        ('public_url = "https://a.com/usher"', "public_url must be the console's own address without a path"),
        ('public_url = "http://a.com"', "public_url must be an https:// address"),
        ('authority = "https://login.example/x"', "authority must be the sign-in host alone"),
        ('client_secret = "hunter2"', "client_secret must be env:NAME or file:/path"),
        ('client_secret = "env:A"', "public_url is missing: Entra sends people back to it"),
        ('client_secret = "env:A"', "client_id is missing: it names the application whose credential is given"),
        ('client_secret = "env:A"\ncertificate = "file:b"', "must have client_secret or certificate, not both"),
        ('idle = "2d"', "idle must not be longer than console.session"),
        ('audience = "a b"', "audience must be what the tokens name as their audience"),
        ('allowed_tenants = ["contoso.com"]', "allowed_tenants[0] must be an id"),
        ('sesion = "1h"', "sesion is not a setting usher knows (did you mean session?)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(tmp_path: Path, text: str, fault: str) -> None:
    """It names the key, and never the value."""
    faults = faults_of(tmp_path, f"[console]\n{text}")
    assert any(f"console.{fault}" in one or f"console {fault}" in one for one in faults), faults
    assert "hunter2" not in "".join(faults)


def test_a_producer_is_bound_to_connections_and_operations(tmp_path: Path) -> None:
    """To invitations, unless told."""
    producer = load(tmp_path, CONTOSO + PRODUCER).producers["hr"]
    assert [token.target for token in producer.token] == [str(tmp_path / "hr"), str(tmp_path / "hr-next")]
    assert (producer.connections, producer.operations, producer.daily_limit) == (("contoso",), ("invite",), None)
    more = 'operations = ["invite", "groups"]\ndaily_limit = 5\nnotify_hosts = ["Hooks.example.com"]'
    producer = load(tmp_path, CONTOSO + PRODUCER + more).producers["hr"]
    assert (producer.operations, producer.daily_limit) == (("invite", "groups"), 5)
    assert producer.notify_hosts == ("hooks.example.com",)


def test_a_producer_may_come_from_the_environment(tmp_path: Path) -> None:
    """As a connection may."""
    env = {
        "USHER_PRODUCERS__HR_EU__TOKEN": "env:HR",
        "USHER_PRODUCERS__HR_EU__CONNECTIONS": "contoso,sandbox",
    }
    assert load(tmp_path, CONTOSO, env).producers["hr-eu"].connections == ("contoso", "sandbox")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('token = "hunter2-and-more"\nconnections = "contoso"', "token must be env:NAME or file:/path"),
        ('connections = "contoso"', "token is missing"),
        ('token = []\nconnections = "contoso"', "token must name at least one"),
        ('token = "env:A"', "connections is missing"),
        ('token = "env:A"\nconnections = []', "connections must name at least one"),
        ('token = "env:A"\nconnections = ["contosa"]', "names contosa, which is no connection that is"),
        ('token = "env:A"\nconnections = "contoso"\ndaily_limit = 0', "daily_limit must be a whole number"),
        ('token = "env:A"\nconnections = "contoso"\nnotify_hosts = ["https://x"]', "notify_hosts[0] must be a host"),
    ],
)  # fmt: skip
def test_a_producer_that_cannot_be_is_a_sentence(tmp_path: Path, text: str, fault: str) -> None:
    """It names the key, and never the value."""
    faults = faults_of(tmp_path, f"{CONTOSO}[producers.hr]\n{text}")
    assert any("producers.hr." in one and fault in one for one in faults), faults
    assert "hunter2" not in "".join(faults)


@pytest.mark.parametrize(
    ("name", "token", "fault"),
    [
        ("hr-eu", "file:eu", "producers.hr-eu begins with the name of another, hr: its task ids and results would be"),
        ("zoo", "file:hr", "producers.zoo.token is hr's, too: each producer has a token of its own"),
    ],
)
def test_producers_that_would_be_taken_for_each_other_are_a_sentence(
    tmp_path: Path, name: str, token: str, fault: str
) -> None:
    """A login at Redis for hr-* would read what is hr-eu's; a token of two would be of either."""
    table = f'[producers.{name}]\ntoken = "{token}"\nconnections = "contoso"\n'
    (found,) = faults_of(tmp_path, CONTOSO + PRODUCER + table)
    assert fault in found
    load(tmp_path, CONTOSO + PRODUCER + table.replace(name, "hre").replace(token, "file:hre"))


def test_what_they_refer_to_is_watched(tmp_path: Path) -> None:
    """A rolled token or credential counts without a restart."""
    files = load(tmp_path, CONTOSO + CONSOLE + PRODUCER).referenced_files
    assert files == (tmp_path / "hr", tmp_path / "hr-next", tmp_path / "secret")
