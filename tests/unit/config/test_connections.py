from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from config.clouds import CLOUDS
from config.errors import ConfigError, UnknownConnection
from config.reader import parse_connection
from config.references import Reference
from config.values import Pace
from tests.configs import CONTOSO, TENANT, build_connection, faults_of, load


def test_a_connection_is_complete(tmp_path: Path) -> None:
    """Three lines make a connection; everything else has a default, and the addresses are final."""
    contoso = load(tmp_path, CONTOSO).connection("contoso")
    assert contoso.name == "contoso"
    assert contoso.client_secret == (Reference.parse("env:CONTOSO_SECRET"),)
    assert contoso.client_secret[0].key == "connections.contoso.client_secret"
    assert contoso.authority == f"https://login.microsoftonline.com/{TENANT}"
    assert contoso.graph_url == "https://graph.microsoft.com/v1.0"
    assert contoso.scope == "https://graph.microsoft.com/.default"
    assert contoso.login_host == "login.microsoftonline.com"
    assert (contoso.redirect_url, contoso.send_message) == ("https://myapplications.microsoft.com", True)
    assert (contoso.pace, contoso.daily_limit, contoso.precheck, contoso.on_doubt) == (Pace(), None, True, "report")
    assert (contoso.refusals_in_a_row, contoso.refused_share) == (20, 0.5)
    assert (contoso.client_key, contoso.tenant_key, contoso.app_key) == (
        f"global/{TENANT}/app",
        f"global/{TENANT}",
        "global/app",
    )


@pytest.mark.parametrize(
    ("cloud", "login", "graph"),
    [
        ("global", "login.microsoftonline.com", "graph.microsoft.com"),
        ("usgov", "login.microsoftonline.us", "graph.microsoft.us"),
        ("usgov-dod", "login.microsoftonline.us", "dod-graph.microsoft.us"),
        ("china", "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_clouds(cloud: str, login: str, graph: str) -> None:
    """Each cloud has its own sign-in and Graph, its own scope and its own quotas."""
    connection = parse_connection(
        "c", {"tenant_id": TENANT, "client_id": "a", "client_secret": "env:A", "cloud": cloud}
    )
    assert connection.authority == f"https://{login}/{TENANT}"
    assert connection.graph_url == f"https://{graph}/v1.0"
    assert connection.scope == f"https://{graph}/.default"
    assert connection.tenant_key == f"{cloud}/{TENANT}"
    assert cloud in CLOUDS


@pytest.mark.parametrize(
    "authority", ["https://127.0.0.1:8443", "https://127.0.0.1:8443/", f"https://127.0.0.1:8443/{TENANT}"]
)
@pytest.mark.parametrize(
    "graph", ["https://127.0.0.1:8444", "https://127.0.0.1:8444/v1.0", "https://127.0.0.1:8444/v1.0/"]
)
def test_explicit_addresses_are_completed(authority: str, graph: str) -> None:
    """An authority may come with its tenant or without, Graph with its version or without; quotas
    go by Graph's host.
    """
    connection = build_connection(authority=authority, graph_url=graph)
    assert connection.authority == f"https://127.0.0.1:8443/{TENANT}"
    assert connection.graph_url == "https://127.0.0.1:8444/v1.0"
    assert connection.login_host == "127.0.0.1:8443"
    assert connection.client_key == f"127.0.0.1:8444/{TENANT}/app"


def test_one_graph_is_one_quota_however_it_is_written() -> None:
    """An explicit address of a known cloud shares that cloud's quota; another host has its own,
    port included.
    """
    assert (
        build_connection(graph_url="https://Graph.Microsoft.com:443/v1.0").client_key == build_connection().client_key
    )
    assert build_connection(graph_url="https://graph.example.com").realm == "graph.example.com:443"
    assert (
        build_connection(graph_url="https://gateway.example.com/graph").graph_url
        == "https://gateway.example.com/graph/v1.0"
    )


def test_every_setting_of_a_connection(tmp_path: Path) -> None:
    """What is written is what is had; paths are found from the file's folder."""
    connection = load(
        tmp_path,
        """
        [connections.a-1]
        tenant_id = "Contoso.OnMicrosoft.com"
        client_id = "app"
        certificate = "file:certs/a.pfx"
        certificate_password = "env:PW"
        ca_file = "roots.pem"
        redirect_url = "http://localhost/x"
        send_message = false
        allowed_domains = ["Bücher.example", "@contoso.com"]
        blocked_domains = "fabrikam.com"
        pace = "12/min"
        daily_limit = 90
        precheck = false
        on_doubt = "silent"
        refusals_in_a_row = 0
        refused_share = 1
        [connections.a-1.clean]
        expiry_attribute = "extensionAttribute15"
        """,
    ).connection("a-1")
    assert connection.tenant_id == "contoso.onmicrosoft.com"
    assert connection.certificate is not None
    assert connection.certificate.path == tmp_path / "certs/a.pfx"
    assert connection.certificate_password == Reference.parse("env:PW")
    assert connection.ca_file == str(tmp_path / "roots.pem")
    assert (connection.redirect_url, connection.send_message) == ("http://localhost/x", False)
    assert connection.allowed_domains == ("xn--bcher-kva.example", "contoso.com")
    assert connection.blocked_domains == ("fabrikam.com",)
    assert (connection.pace, connection.daily_limit) == (Pace("smooth", 12.0), 90)
    assert (connection.precheck, connection.on_doubt) == (False, "silent")
    assert (connection.refusals_in_a_row, connection.refused_share) == (0, 1.0)
    assert connection.clean.expiry_attribute == "extensionAttribute15"
    assert connection.accepts_domain("BÜCHER.example")
    assert not connection.accepts_domain("fabrikam.com")
    assert not connection.accepts_domain("example.com")
    assert build_connection(blocked_domains="a.com").accepts_domain("b.com")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"client_secret": []},
            "connections.c must have client_secret or certificate or client_assertion or managed_identity",
        ),
        (
            {"certificate_password": "env:A"},
            "connections.c.certificate_password belongs to a certificate, and there is none",
        ),
        (
            {"allowed_domains": ["a.com"], "blocked_domains": "A.com"},
            "connections.c.blocked_domains must not hold a domain that allowed_domains holds too",
        ),
        ({"tenant_id": "Organizations"}, "connections.c.tenant_id must be one tenant"),
        ({"client_id": ""}, "connections.c.client_id must be the application"),
        ({"client_id": "a/b"}, "connections.c.client_id must be the application"),
        ({"authority": "https://login.example.com/common"}, "connections.c.authority must end in one tenant"),
        (
            {"authority": "https://login.example.com/t/oauth2/v2.0/token"},
            "connections.c.authority must be the sign-in host",
        ),
        ({"daily_limit": 0}, "connections.c.daily_limit must be a whole number of at least 1"),
        ({"refusals_in_a_row": -1}, "connections.c.refusals_in_a_row must be a whole number of at least 0"),
        ({"refusals_in_a_row": False}, "connections.c.refusals_in_a_row must be a whole number of at least 0"),
        ({"refused_share": 50}, "connections.c.refused_share must be a share from 0 to 1, such as 0.5"),
        ({"send_message": "maybe"}, "connections.c.send_message must be true or false"),
        ({"clientid": "x"}, "connections.c.clientid is not a setting usher knows (did you mean client_id?)"),
        ({"settle_s": 3}, "connections.c.settle_s is not a setting usher knows (did you mean ledger.settle_s?)"),
        (
            {"clean": {"expiry_attribute": "extensionAttribute16"}},
            "connections.c.clean.expiry_attribute must be one of extensionAttribute1 to extensionAttribute15",
        ),
        (
            {"clean": {"expiry_atribute": "x"}},
            "connections.c.clean.expiry_atribute is not a setting usher knows (did you mean expiry_attribute?)",
        ),
        ({"clean": "x"}, "connections.c.clean must be a table"),
        ({"clean": {"remind_after": "7 weeks"}}, "connections.c.clean.remind_after must be a length of time"),
        ({"clean": {"remind_times": 0}}, "connections.c.clean.remind_times must be a whole number of at least 1"),
        ({"clean": {"most_deleted": -1}}, "connections.c.clean.most_deleted must be a whole number of at least 0"),
        ({"clean": {"spare_groups": [""]}}, "connections.c.clean.spare_groups[0] must be the ids, addresses or names"),
        ({"clean": {"spare_addresses": "env:A"}}, "connections.c.clean.spare_addresses must be file:/path, of a list"),
        ({"a\nb": 3}, 'connections.c."a\\nb" is not a setting usher knows'),
    ],
)
def test_faults_of_a_connection(settings: dict[str, object], fault: str) -> None:
    """Each rule of a connection has its sentence."""
    with pytest.raises(ConfigError) as caught:
        build_connection(**settings)
    assert any(f": {fault}" in sentence for sentence in caught.value.faults), caught.value.faults


def test_what_is_done_to_guests_by_rule(tmp_path: Path) -> None:
    """Nothing is done unless told, never beyond a ceiling; a file stands beside the settings."""
    nothing = load(tmp_path, CONTOSO).connection("contoso").clean
    ages = ("remind_after_s", "disable_pending_after_s", "disable_inactive_after_s", "delete_disabled_after_s")
    assert [getattr(nothing, age) for age in ages] == [None] * 4
    assert (nothing.disable_expired, nothing.include_internal) == (False, False)
    assert (nothing.most_reminded, nothing.most_disabled, nothing.most_deleted) == (500, 100, 50)
    clean = """
        [connections.contoso.clean]
        remind_after = "20s"
        remind_every = "7d"
        remind_times = 2
        disable_pending_after = "30d"
        disable_inactive_after = "90d"
        disable_expired = true
        delete_disabled_after = "12h"
        include_internal = true
        spare_domains = "Partner.Example"
        spare_groups = ["Board"]
        spare_addresses = "file:spared.txt"
        most_reminded = 1
        most_disabled = 0
        most_deleted = 2
    """
    told = load(tmp_path, CONTOSO + clean).connection("contoso").clean
    assert [getattr(told, age) for age in ages] == [20.0, 30 * 86_400.0, 90 * 86_400.0, 12 * 3600.0]
    assert (told.remind_every_s, told.remind_times) == (7 * 86_400.0, 2)
    assert (told.disable_expired, told.include_internal) == (True, True)
    assert (told.spare_domains, told.spare_groups) == (("partner.example",), ("Board",))
    assert told.spare_addresses is not None
    assert told.spare_addresses.path == tmp_path / "spared.txt"
    assert (told.most_reminded, told.most_disabled, told.most_deleted) == (1, 0, 2)


def test_lists_within_a_table_of_a_connection_have_variables(tmp_path: Path) -> None:
    """A list is separated by commas, as everywhere."""
    env = {"USHER_CONNECTIONS__CONTOSO__CLEAN__SPARE_DOMAINS": "a.example,b.example"}
    clean = load(tmp_path, CONTOSO, env).connection("contoso").clean
    assert clean.spare_domains == ("a.example", "b.example")


def test_days_and_sources_are_kept_apart(tmp_path: Path) -> None:
    """One attribute of the tenant cannot hold both."""
    table = CONTOSO + '[connections.contoso.sync]\nsource_attribute = "extensionAttribute10"\n'
    assert faults_of(tmp_path, table) == [
        "usher.toml: connections.contoso.sync.source_attribute must be another attribute than clean.expiry_attribute."
    ]


def test_connections_must_be_named(tmp_path: Path) -> None:
    """Settings right under [connections] are told where they belong."""
    faults = faults_of(tmp_path, '[connections]\ntenant_id = "a.com"\n')
    assert faults == [
        "usher.toml: connections.tenant_id must be a table: settings of a connection stand under [connections.NAME]."
    ]


def test_of_many_connections_the_nearest_five_are_told() -> None:
    """Ten thousand names are no sentence; a misspelt one is told what is close to it."""
    known = [f"customer-{number:04}" for number in range(9_996)] + ["adatum", "adatum-eu", "adatum-us", "bellows"]
    told = str(UnknownConnection("adatm", known))
    assert told.startswith('There is no connection "adatm" (did you mean adatum?); 10,000 are known, the nearest of')
    assert told.endswith("the nearest of them: adatum, adatum-us, adatum-eu.")
    assert len(told) < 250


def test_an_unknown_connection_lists_the_known(tmp_path: Path) -> None:
    """A misspelt name is answered with the known ones, the built-in one included, and survives a
    copy of the exception.
    """
    settings = load(tmp_path, CONTOSO)
    with pytest.raises(UnknownConnection) as caught:
        settings.connection("contso")
    assert str(caught.value) == 'There is no connection "contso" (did you mean contoso?); known are: contoso, sandbox.'
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own
    with pytest.raises(
        UnknownConnection, match=r'^The built-in connection "sandbox" is not running in this process\.$'
    ):
        settings.connection("sandbox")
    with pytest.raises(UnknownConnection, match=r'^There is no connection "\\u001b\[2J.*\.\.\."; known'):
        settings.connection("\x1b[2J" + "x" * 500)
