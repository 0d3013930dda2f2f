from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.clouds import CLOUDS
from config.connections import Connection
from config.errors import ConfigError, UnknownConnection
from config.reader import load_settings, parse_connection, parse_schedule
from config.references import Reference
from config.sections import LedgerSection
from config.settings import Settings
from config.values import Limit, Pace

TENANT = "11111111-2222-4333-8444-555555555555"
CONTOSO = f"""
[connections.contoso]
tenant_id = "{TENANT}"
client_id = "App"
client_secret = "env:CONTOSO_SECRET"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine or of the checkout plays a part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("config.sources.PLACES", (Path("usher.toml"), tmp_path / "etc.toml"))


AFTER_A_TABLE = "stands after a table and so belongs to it: write it at the top of the file, before the first [table]."


def _load(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "usher.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_settings(env or {}, path)


def _faults(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Return the faults, the file's name shortened, and check that nothing of them leaks through the exception's history."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text, env)
    assert str(caught.value) == "\n".join(caught.value.faults)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return [fault.replace(f"{tmp_path}/", "") for fault in caught.value.faults]


def test_defaults_are_those_of_the_design() -> None:
    """Without any file usher runs, on a private server, with Graph's documented limits."""
    settings = load_settings({})
    assert settings == Settings()
    assert settings.embedded
    assert settings.source is None
    assert (settings.ledger.keep_s, settings.ledger.lease_s, settings.ledger.settle_s) == (2_592_000, 15, 60)
    assert (settings.ledger.prefix, settings.ledger.key, settings.graph.timeout_s) == ("usher", (), 25)
    assert {name: str(getattr(settings.quota, name)) for name in type(settings.quota).model_fields} == {
        "invitations_per_tenant": "150/5s",
        "writes_per_app_and_tenant": "3000/150s",
        "writes_per_tenant": "18000/300s",
        "writes_per_app": "35000/300s",
        "units_per_app_and_tenant": "3500/10s",
        "units_per_app": "150000/20s",
        "interactive_reserve": "0.2%",
    }


def test_the_file_is_found_in_order(tmp_path: Path) -> None:
    """A path, then USHER_CONFIG, then ./usher.toml, then the system's."""
    for name in ("path", "named", "usher", "etc"):
        (tmp_path / f"{name}.toml").write_text(f'[ledger]\nprefix = "{name}"\n')
    env = {"USHER_CONFIG": "named.toml"}
    assert load_settings(env, "path.toml").ledger.prefix == "path"
    assert load_settings(env).ledger.prefix == "named"
    assert load_settings(env).source == tmp_path / "named.toml"
    assert load_settings({"USHER_CONFIG": ""}).ledger.prefix == "usher"
    (tmp_path / "usher.toml").unlink()
    assert load_settings({}).ledger.prefix == "etc"


def test_a_named_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    """A misspelt USHER_CONFIG must not run with the defaults."""
    with pytest.raises(ConfigError) as caught:
        load_settings({"USHER_CONFIG": "nowhere.toml", "USHER_LEDGER__X": "1"})
    assert caught.value.faults[0] == f"{tmp_path}/nowhere.toml: there is no such file."


def test_what_is_no_toml_file_is_one_sentence(tmp_path: Path) -> None:
    """Syntax errors name line and column; folders, other encodings, devices and depth have their sentence."""
    cases: dict[bytes, str] = {
        b"[redis]\nurl = redis\n": 'line 2, column 7 is not TOML: invalid value (text stands in quotes: key = "text").',
        b"a = [1,\n": "the end of the file is not TOML: invalid value (text stands in quotes",
        b"a = 1\na = 2\n": "line 2, column 6 is not TOML: cannot overwrite a value.",
        b"\xff\xfea": "it is not UTF-8 text.",
        b"a = " + b"[" * 5000: "it is not TOML.",
        b"a = 1" + b"0" * 5000: "it is not TOML: a value cannot be read.",
    }
    for content, sentence in cases.items():
        (tmp_path / "usher.toml").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_settings({})
        assert len(caught.value.faults) == 1
        assert caught.value.faults[0].startswith(f"{tmp_path}/usher.toml: {sentence}"[:-1])
    for named, reason in (
        (str(tmp_path), "it cannot be read (Is a directory)."),
        ("/dev/zero", "it cannot be read (not a regular file)."),
    ):
        with pytest.raises(ConfigError) as caught:
            load_settings({}, named)
        assert caught.value.faults == [f"{named}: {reason}"]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "usher.toml").write_bytes(b'\xef\xbb\xbf[ledger]\nprefix = "x"\n')
    assert load_settings({}).ledger.prefix == "x"


def test_a_connection_is_complete(tmp_path: Path) -> None:
    """Three lines make a connection; everything else has a default, and the addresses are final."""
    contoso = _load(tmp_path, CONTOSO).connection("contoso")
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
    """An authority may come with its tenant or without, Graph with its version or without; quotas go by Graph's host."""
    connection = _connection(authority=authority, graph_url=graph)
    assert connection.authority == f"https://127.0.0.1:8443/{TENANT}"
    assert connection.graph_url == "https://127.0.0.1:8444/v1.0"
    assert connection.login_host == "127.0.0.1:8443"
    assert connection.client_key == f"127.0.0.1:8444/{TENANT}/app"


def test_one_graph_is_one_quota_however_it_is_written() -> None:
    """An explicit address of a known cloud shares that cloud's quota; another host has its own, port included."""
    assert _connection(graph_url="https://Graph.Microsoft.com:443/v1.0").client_key == _connection().client_key
    assert _connection(graph_url="https://graph.example.com").realm == "graph.example.com:443"
    assert (
        _connection(graph_url="https://gateway.example.com/graph").graph_url == "https://gateway.example.com/graph/v1.0"
    )


def _connection(**settings: object) -> Connection:
    return parse_connection("c", {"tenant_id": TENANT, "client_id": "App", "client_secret": "env:A", **settings})


def test_every_setting_of_a_connection(tmp_path: Path) -> None:
    """What is written is what is had; paths are found from the file's folder."""
    connection = _load(
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
    assert connection.accepts_domain("BÜCHER.example")
    assert not connection.accepts_domain("fabrikam.com")
    assert not connection.accepts_domain("example.com")
    assert _connection(blocked_domains="a.com").accepts_domain("b.com")


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """One reading finds everything: each fault a sentence, with its key and where it was written, and no value."""
    assert _faults(
        tmp_path,
        """
        timezone = 5
        ledger = 3
        [conections.x]
        a = 1
        [redis]
        url = "http://hunter2"
        [broker]
        timeout_s = 3
        [graph]
        timeout = 3
        [quota]
        writes_per_app = "hunter2"
        [connections.Bad]
        tenant_id = "common"
        client_id = "hunter2 x"
        client_secret = "hunter2"
        [connections.ok]
        tenant_id = "hunter2"
        client_secret = ["env:A", "hunter2", 3]
        certificate = "file:x.pem"
        ca_file = 5
        redirect_url = "hunter2"
        allowed_domains = ["a.com", "*.hunter2"]
        pace = "hunter2"
        on_doubt = "resnd"
        cloud = "globl"
        authority = "http://hunter2"
        graph_url = "https://u:hunter2@x"
        name = "x"
        [connections.table]
        certificate_password = "env:A"
        """,
        {
            "USHER_LEDGER__KEEP": "hunter2",
            "USHER_QUOTA__UNITS_APP": "1",
            "USHER_CONNECTIONS__FABRIKAM_EU__TENANT_ID": "a.com",
        },
    ) == [
        "usher.toml: conections is not a section usher knows (did you mean connections?).",
        "usher.toml: redis.url must start with one of redis://, rediss://, unix://, redis+socket://, sentinel://, sentinels://.",
        "usher.toml: broker.timeout_s is not a setting usher knows (did you mean graph.timeout_s?).",
        "usher.toml: ledger must be a table.",
        "usher.toml: graph.timeout is not a setting usher knows (did you mean timeout_s?).",
        "USHER_QUOTA__UNITS_APP: quota.units_app is not a setting usher knows (did you mean units_per_app?).",
        'usher.toml: quota.writes_per_app must be an amount and a length of time, both above zero, such as "150/5s".',
        "usher.toml: connections.Bad must be a name of a-z, 0-9 and - (64 characters at most).",
        (
            "usher.toml: connections.Bad.tenant_id must be one tenant: an app that signs in alone has no common, "
            "organizations or consumers."
        ),
        "usher.toml: connections.Bad.client_id must be the application (client) id, without spaces or slashes.",
        "usher.toml: connections.Bad.client_secret must be env:NAME or file:/path; a literal in the file would be a leak.",
        "usher.toml: connections.ok.name is not a setting usher knows.",
        "usher.toml: connections.ok.tenant_id must be the tenant's GUID or one of its verified domain names.",
        "usher.toml: connections.ok.client_id is missing.",
        "usher.toml: connections.ok.client_secret[1] must be env:NAME or file:/path; a literal in the file would be a leak.",
        "usher.toml: connections.ok.client_secret[2] must be env:NAME or file:/path; a literal in the file would be a leak.",
        "usher.toml: connections.ok.cloud must be one of global, usgov, usgov-dod, china (did you mean global?).",
        "usher.toml: connections.ok.authority must be an absolute https:// URL with a host.",
        "usher.toml: connections.ok.graph_url must be an https:// URL without user name, query or fragment.",
        "usher.toml: connections.ok.ca_file must be the path of a PEM file with certificates to trust.",
        "usher.toml: connections.ok.redirect_url must be an absolute https:// or http:// URL with a host.",
        (
            "usher.toml: connections.ok.allowed_domains[1] must be a plain domain name such as contoso.com (no wildcard; "
            "subdomains are listed one by one)."
        ),
        'usher.toml: connections.ok.pace must be "quota", "guarded" or a number of invitations a minute such as "12/min".',
        "usher.toml: connections.ok.on_doubt must be one of report, resend, silent (did you mean resend?).",
        "usher.toml: connections.ok must have client_secret or certificate, not both.",
        "usher.toml: connections.table.tenant_id is missing.",
        "usher.toml: connections.table.client_id is missing.",
        "usher.toml: connections.table must have client_secret or certificate.",
        "USHER_CONNECTIONS__FABRIKAM_EU__CLIENT_ID: connections.fabrikam-eu.client_id is missing.",
        "USHER_CONNECTIONS__FABRIKAM_EU__TENANT_ID: connections.fabrikam-eu must have client_secret or certificate.",
        "usher.toml: timezone must be text.",
    ]


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """A literal secret is nowhere in the fault's whole traceback, wherever it was pasted."""
    for key in (
        "client_secret",
        "tenant_id",
        "client_id",
        "certificate",
        "pace",
        "authority",
        "ca_file",
        "allowed_domains",
        "daily_limit",
    ):
        text = f'[connections.a]\n{key} = "hunter2 ~x/"\n'
        with pytest.raises(ConfigError) as caught:
            _load(tmp_path, text)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"client_secret": []}, "connections.c must have client_secret or certificate"),
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
        ({"a\nb": 3}, 'connections.c."a\\nb" is not a setting usher knows'),
    ],
)
def test_faults_of_a_connection(settings: dict[str, object], fault: str) -> None:
    """Each rule of a connection has its sentence."""
    with pytest.raises(ConfigError) as caught:
        _connection(**settings)
    assert any(f": {fault}" in sentence for sentence in caught.value.faults), caught.value.faults


def test_connections_must_be_named(tmp_path: Path) -> None:
    """Settings right under [connections] are told where they belong."""
    faults = _faults(tmp_path, '[connections]\ntenant_id = "a.com"\n')
    assert faults == [
        "usher.toml: connections.tenant_id must be a table: settings of a connection stand under [connections.NAME]."
    ]


def test_an_unknown_connection_lists_the_known(tmp_path: Path) -> None:
    """A misspelt name is answered with the known ones, the built-in one included, and survives a copy of the exception."""
    settings = _load(tmp_path, CONTOSO)
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


def test_a_connection_can_be_added_but_not_replaced(tmp_path: Path) -> None:
    """The built-in sandbox may come and move; one that the operator configured under its name stays."""
    settings = _load(tmp_path, CONTOSO)
    first, second = (
        parse_connection("sandbox", {"tenant_id": TENANT, "client_id": c, "client_secret": "env:A"}) for c in "ab"
    )
    with_first = settings.with_connection(first)
    assert with_first.connection("sandbox") is first
    assert with_first.with_connection(second).connection("sandbox") is second
    assert "sandbox" not in settings.connections
    assert with_first.connection_names == ("contoso", "sandbox")
    assert with_first.digest != settings.digest
    own = _load(tmp_path, CONTOSO.replace("contoso]", "sandbox]"))
    assert own.with_connection(first) is own


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Every section has an environment form; lists are JSON or commas; short forms win; empty means not set."""
    env = {
        "USHER_QUOTA__WRITES_PER_TENANT": "9/1s",
        "USHER_LEDGER__KEEP": "12h",
        "USHER_LEDGER__PREFIX": "",
        "USHER_LEDGER__KEY": "env:ONE, env:TWO",
        "USHER_GRAPH__TIMEOUT_S": "1.5",
        "USHER_REDIS__URL": "redis://long",
        "USHER_REDIS_URL": "redis://short",
        "USHER_BROKER_URL": "amqp://rabbit",
        "USHER_CONNECTIONS__CONTOSO__SEND_MESSAGE": "no",
        "USHER_CONNECTIONS__CONTOSO__ALLOWED_DOMAINS": '["a.com", "b.com"]',
        "USHER_CONNECTIONS__CONTOSO__DAILY_LIMIT": "5",
        "USHER_CONNECTIONS__FABRIKAM_EU__TENANT_ID": "fabrikam.com",
        "USHER_CONNECTIONS__FABRIKAM_EU__CLIENT_ID": "x",
        "USHER_CONNECTIONS__FABRIKAM_EU__CLIENT_SECRET": "file:secret",
        "USHER_PRIVATE": "1",
        "OTHER__X": "1",
    }
    settings = _load(tmp_path, '[redis]\nurl = "redis://file"\n' + CONTOSO, env)
    assert settings.quota.writes_per_tenant == Limit(9, 1.0)
    assert (settings.ledger.keep_s, settings.ledger.prefix) == (43_200, "usher")
    assert [key.text for key in settings.ledger.key] == ["env:ONE", "env:TWO"]
    assert settings.graph.timeout_s == 1.5
    assert (settings.redis.url, settings.broker.url, settings.broker_url) == (
        "redis://short",
        "amqp://rabbit",
        "amqp://rabbit",
    )
    contoso = settings.connection("contoso")
    assert (contoso.send_message, contoso.allowed_domains, contoso.daily_limit) == (False, ("a.com", "b.com"), 5)
    assert contoso.tenant_id == TENANT
    assert settings.connection("fabrikam-eu").client_secret[0].path == Path.cwd() / "secret"
    assert not settings.embedded


def test_relative_paths_start_where_they_were_written(tmp_path: Path) -> None:
    """In the file: beside it. In a variable: at the current folder, as for any command."""
    (tmp_path / "conf").mkdir()
    file = tmp_path / "conf" / "usher.toml"
    file.write_text(CONTOSO.replace("env:CONTOSO_SECRET", "file:s") + 'ca_file = "ca.pem"\n')
    contoso = load_settings({}, file).connection("contoso")
    assert (contoso.client_secret[0].path, contoso.ca_file) == (tmp_path / "conf/s", str(tmp_path / "conf/ca.pem"))
    env = {"USHER_CONNECTIONS__CONTOSO__CLIENT_SECRET": "file:s", "USHER_CONNECTIONS__CONTOSO__CA_FILE": "ca.pem"}
    contoso = load_settings(env, file).connection("contoso")
    assert (contoso.client_secret[0].path, contoso.ca_file) == (tmp_path / "s", str(tmp_path / "ca.pem"))


def test_faults_in_the_environment_name_the_variable(tmp_path: Path) -> None:
    """A fault points at the variable, not at the file it overrides."""
    assert _faults(
        tmp_path,
        CONTOSO,
        {
            "USHER_LEDGER__SETTLE_S": "soon",
            "USHER_LEDGR__SETTLE_S": "5",
            "USHER_CONNECTIONS__CONTOSO__ALLOWED_DOMAINS": '["a.com"',
            "USHER_CONNECTIONS__CONTOSO__X__Y": "1",
            "USHER_CONNECTIONS__OTHER": "1",
            "USHER_BROKER_URL": "amqp://u:p@host",
        },
    ) == [
        (
            "USHER_CONNECTIONS__CONTOSO__ALLOWED_DOMAINS: connections.contoso.allowed_domains must be a JSON list of texts, "
            "or texts separated by commas."
        ),
        "USHER_LEDGR__SETTLE_S: ledgr is not a section usher knows (did you mean ledger?).",
        (
            "USHER_LEDGER__SETTLE_S: ledger.settle_s must be a length of time above zero: seconds, or text such as "
            '"90s", "15m", "12h" or "30d".'
        ),
        "USHER_BROKER_URL: broker.url needs redis.url too (the private server is its own broker).",
        "usher.toml: connections.contoso.x is not a setting usher knows.",
        "USHER_CONNECTIONS__OTHER: connections.other must be a table: settings of a connection stand under [connections.NAME].",
    ]


def test_times_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """A row is never looked up before its request has ended and had time to be seen; short times for rehearsals are fine."""
    assert _load(tmp_path, "[ledger]\nsettle_s = 40\n").ledger.settle_s == 40
    assert _faults(tmp_path, "[ledger]\nsettle_s = 30\n") == [
        "usher.toml: graph.timeout_s (25 s) and 7.5 s for replication together must stay below ledger.settle_s (30 s)."
    ]
    assert _faults(tmp_path, "", {"USHER_LEDGER__SETTLE_S": "30"})[0].startswith(
        "USHER_LEDGER__SETTLE_S: graph.timeout_s"
    )
    assert _faults(tmp_path, "[graph]\ntimeout_s = 45\n") == [
        "usher.toml: graph.timeout_s (45 s) and 15 s for replication together must stay below ledger.settle_s (60 s)."
    ]
    settings = _load(tmp_path, "[ledger]\nlease_s = 2\nsettle_s = 3\n[graph]\ntimeout_s = 1.5\n")
    assert (settings.ledger.lease_s, settings.ledger.settle_s, settings.graph.timeout_s) == (2, 3, 1.5)


@pytest.mark.parametrize("prefix", ["{usher}", "a b", "a*", "", ":a", "a:", "x" * 65])
def test_a_prefix_is_a_plain_name(tmp_path: Path, prefix: str) -> None:
    """A prefix becomes part of key patterns, so nothing in it may mean anything to Redis."""
    assert "ledger.prefix must be letters" in _faults(tmp_path, f'[ledger]\nprefix = "{prefix}"\n')[0]


def test_schedules_are_read_with_their_arguments(tmp_path: Path) -> None:
    """Paths start at the file, lengths of time are seconds, the time zone is one for all; a variable may set any of it."""
    settings = _load(
        tmp_path,
        f"""
        timezone = "Europe/Berlin"
        {CONTOSO}
        [schedules.nightly-partners]
        task = "invite_file"
        connection = "contoso"
        cron = "0 2 * * MON-fri"
        args = {{ path = "partners.csv", send_message = "no" }}
        [schedules.far]
        task = "invite_file"
        connection = "sandbox"
        every = "6h"
        args = {{ url = "env:LIST_URL" }}
        [schedules.check]
        task = "check_connections"
        every = 90
        """,
        {"USHER_SCHEDULES__NIGHTLY_PARTNERS__ENABLED": "no"},
    )
    nightly, far, check = (settings.schedules[name] for name in ("nightly-partners", "far", "check"))
    assert settings.timezone == "Europe/Berlin"
    assert nightly.args == {"path": str(tmp_path / "partners.csv"), "send_message": False}
    assert (nightly.when, nightly.enabled) == ("0 2 * * mon-fri", False)
    assert (far.when, far.args) == ("every 6h", {"url": "env:LIST_URL"})
    assert (check.connection, check.when) == (None, "every 90s")
    for schedule in settings.schedules.values():
        assert parse_schedule(schedule.name, schedule.table, settings.connections) == schedule


def test_every_fault_of_a_schedule_is_told_with_its_field(tmp_path: Path) -> None:
    """Unknown task, connection or argument, a time that is none: refused when read, all at once, no value repeated."""
    assert _faults(
        tmp_path,
        f"""
        timezone = "Europe/Atlantis"
        {CONTOSO}
        [schedules]
        timezone = "UTC"
        one = 3
        [schedules.a]
        task = "invite_fil"
        connection = "contoso"
        cron = "0 25 * * *"
        [schedules.b]
        task = "invite_file"
        connection = "contosso"
        cron = "0 2 * * *"
        every = "6h"
        args = {{ pth = "hunter2", path = "ftp://hunter2", send_message = 3 }}
        [schedules.c]
        task = "retry_failed"
        args = {{ times = 0 }}
        [schedules.d]
        task = "invite_file"
        connection = "contoso"
        every = "0.5s"
        arg = 1
        [schedules.Bad]
        task = "check_connections"
        every = "1d"
        args = []
        [schedules.e]
        task = "invite_file"
        connection = "contoso"
        every = "1d"
        args = {{ path = "a.csv", url = "https://hunter2@example.com/" }}
        """,
    ) == [
        f"usher.toml: schedules.timezone {AFTER_A_TABLE}",
        "usher.toml: schedules.one must be a table: what is done and when stands under [schedules.NAME].",
        "usher.toml: schedules.a.task must be one of invite_file, check_connections, retry_failed (did you mean invite_file?).",
        "usher.toml: schedules.a.cron has a field that cannot be read, or a day that never comes: hour.",
        "usher.toml: schedules.b must have cron or every, not both.",
        "usher.toml: schedules.b.connection names no connection that is configured (did you mean contoso?).",
        "usher.toml: schedules.b.args.pth is not an argument of invite_file (did you mean path?).",
        "usher.toml: schedules.b.args.path must be an absolute https:// URL with a host.",
        "usher.toml: schedules.b.args.send_message must be true or false.",
        "usher.toml: schedules.c must have cron or every.",
        "usher.toml: schedules.c.connection is missing.",
        "usher.toml: schedules.c.args.times must be a whole number of at least 1.",
        "usher.toml: schedules.d.arg is not a setting usher knows (did you mean args?).",
        "usher.toml: schedules.d.every must be at least a second.",
        "usher.toml: schedules.d.args.path is missing.",
        "usher.toml: schedules.Bad must be a name of a-z, 0-9 and - (64 characters at most).",
        "usher.toml: schedules.Bad.args must be a table of the task's arguments.",
        "usher.toml: schedules.e.args.url must be an https:// URL without user name and password.",
        "usher.toml: schedules.e.args must have path or url, not both.",
        "usher.toml: timezone must be the name of a time zone, such as Europe/Berlin or UTC.",
    ]


def test_passwords_in_urls_are_masked(tmp_path: Path) -> None:
    """Neither repr nor a dump nor a copy shows the password in a server's URL, and none can be pickled."""
    settings = _load(
        tmp_path, '[redis]\nurl = "redis://:hunter2@host:6379/0"\n[broker]\nurl = "amqp://u:hunter2@rabbit"\n'
    )
    assert settings.redis.url == "redis://:hunter2@host:6379/0"
    for section in (settings.redis, settings.broker):
        shown = f"{section} {section!r} {section.model_dump()} {section.model_dump_json()} {copy.deepcopy(section)}"
        assert "***@" in shown
        assert "hunter2" not in shown
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(section)
    assert "hunter2" not in repr(settings) + str(settings)
    with pytest.raises(TypeError):
        pickle.dumps(settings)


def test_a_server_url_may_be_a_reference(tmp_path: Path) -> None:
    """A URL with a password may be kept in a file, which is read at once: every command needs it."""
    (tmp_path / "url").write_text("redis://:pw@host\n")
    settings = _load(tmp_path, '[redis]\nurl = "file:url"\n', {"USHER_BROKER_URL": "env:RABBIT", "RABBIT": "amqp://r"})
    assert (settings.redis.url, settings.broker.url) == ("redis://:pw@host", "amqp://r")
    assert settings.referenced_files == (tmp_path / "url",)
    assert _faults(tmp_path, '[redis]\nurl = "file:gone"\n[broker]\nurl = "env:"\n') == [
        "usher.toml: redis.url refers to file:gone, which does not exist.",
        "usher.toml: broker.url must name an environment variable after env: (letters, digits and _).",
    ]


def test_secrets_are_not_read_with_the_settings(tmp_path: Path) -> None:
    """A producer without any secret reads the same configuration."""
    settings = _load(
        tmp_path,
        '[ledger]\nkey = ["file:/nowhere/key", "env:NOT_SET"]\n'
        + CONTOSO.replace('"env:CONTOSO_SECRET"', '["file:gone", "env:GONE"]')
        + 'ca_file = "gone.pem"\n',
    )
    assert settings.referenced_files == tuple(sorted((Path("/nowhere/key"), tmp_path / "gone", tmp_path / "gone.pem")))
    assert [reference.text for reference in settings.references] == [
        "file:/nowhere/key",
        "env:NOT_SET",
        "file:gone",
        "env:GONE",
    ]


def test_the_digest_follows_the_effective_configuration(tmp_path: Path) -> None:
    """Same meaning, same digest, wherever it was written; another setting, another digest; a password is no part of it."""
    plain = _load(
        tmp_path, '[redis]\nurl = "redis://:one@h"\n[quota]\nwrites_per_app = "35000/300s"\n[ledger]\nkeep = "24h"\n'
    )
    other = _load(tmp_path, '[ledger]\nkeep = "1d"\n', {"USHER_REDIS_URL": "redis://:two@h"})
    assert plain.digest == other.digest
    assert len(plain.digest) == 64
    assert _load(tmp_path, CONTOSO).digest != _load(tmp_path, CONTOSO + "precheck = false\n").digest
    assert Settings(ledger=LedgerSection(settle_s=61)).digest != Settings().digest


def test_settings_do_not_change(tmp_path: Path) -> None:
    """Settings are shared between threads: nothing in them can be set, and nothing keeps them as a key."""
    settings = _load(tmp_path, CONTOSO)
    for holder, name in ((settings, "quota"), (settings.ledger, "keep_s"), (settings.connection("contoso"), "cloud")):
        with pytest.raises((AttributeError, ValueError)):
            setattr(holder, name, None)
    with pytest.raises(TypeError):
        settings.connections["x"] = settings.connection("contoso")  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(settings)


def test_a_connection_can_be_dumped() -> None:
    """A dump of a connection is JSON and holds references, not secrets."""
    dumped = json.loads(_connection(pace="12/min").model_dump_json())
    assert (dumped["client_secret"], dumped["certificate"], dumped["pace"]) == (["env:A"], None, "12/min")


def test_importing_the_package_is_cheap() -> None:
    """`usher --help` and producers may import config, its errors and its secrets without pydantic; every exported name resolves."""
    code = (
        "import sys, config, config.errors, config.secrets, config.references, config.values, config.clouds;"
        "assert 'pydantic' not in sys.modules and 'tomllib' not in sys.modules;"
        "[getattr(config, name) for name in config.__all__];"
        "assert sorted(config._HOME) == sorted(config.__all__) and set(config.__all__) <= set(dir(config))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
    import config

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = config.nothing


@pytest.mark.parametrize(
    ("table", "key"),
    [("[ledger]", "ledger"), ("[schedules]", "schedules"), ("[connections]", "connections"), ("[graph]", "graph")],
)
def test_a_time_zone_after_a_table_is_told_where_it_belongs(tmp_path: Path, table: str, key: str) -> None:
    """TOML gives it to the table before it; the sentence says where to write it instead."""
    assert _faults(tmp_path, f'{table}\ntimezone = "Europe/Berlin"\n') == [
        f"usher.toml: {key}.timezone {AFTER_A_TABLE}"
    ]
