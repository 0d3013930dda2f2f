from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from config.connections import CREDENTIALS
from config.errors import ConfigError
from config.reader import load_settings
from config.sections import LedgerSection
from config.settings import Settings
from tests.configs import AFTER_A_TABLE, CONTOSO, build_connection, faults_of, load


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
        "sign_in_reads_per_app": "10/60s",
        "interactive_reserve": "0.2%",
    }


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """One reading finds everything: each fault a sentence, with its key and where it was written,
    and no value.
    """
    assert faults_of(
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
        (
            "usher.toml: redis.url must start with one of redis://, rediss://, unix://, redis+socket://,"
            " sentinel://, sentinels://."
        ),
        "usher.toml: broker.timeout_s is not a setting usher knows (did you mean graph.timeout_s?).",
        "usher.toml: ledger must be a table.",
        "usher.toml: graph.timeout is not a setting usher knows (did you mean timeout_s?).",
        "USHER_QUOTA__UNITS_APP: quota.units_app is not a setting usher knows (did you mean units_per_app?).",
        ('usher.toml: quota.writes_per_app must be an amount and a length of time, both above zero, such as "150/5s".'),
        "usher.toml: connections.Bad must be a name of a-z, 0-9 and - (64 characters at most).",
        (
            "usher.toml: connections.Bad.tenant_id must be one tenant: an app that signs in alone has no common, "
            "organizations or consumers."
        ),
        "usher.toml: connections.Bad.client_id must be the application (client) id, without spaces or slashes.",
        (
            "usher.toml: connections.Bad.client_secret must be env:NAME or file:/path; a literal in the file would"
            " be a leak."
        ),
        "usher.toml: connections.ok.name is not a setting usher knows.",
        "usher.toml: connections.ok.tenant_id must be the tenant's GUID or one of its verified domain names.",
        "usher.toml: connections.ok.client_id is missing.",
        (
            "usher.toml: connections.ok.client_secret[1] must be env:NAME or file:/path; a literal in the file"
            " would be a leak."
        ),
        (
            "usher.toml: connections.ok.client_secret[2] must be env:NAME or file:/path; a literal in the file"
            " would be a leak."
        ),
        "usher.toml: connections.ok.cloud must be one of global, usgov, usgov-dod, china (did you mean global?).",
        "usher.toml: connections.ok.authority must be an absolute https:// URL with a host.",
        "usher.toml: connections.ok.graph_url must be an https:// URL without user name, query or fragment.",
        "usher.toml: connections.ok.ca_file must be the path of a PEM file with certificates to trust.",
        "usher.toml: connections.ok.redirect_url must be an absolute https:// or http:// URL with a host.",
        (
            "usher.toml: connections.ok.allowed_domains[1] must be a plain domain name such as contoso.com (no"
            " wildcard; subdomains are listed one by one)."
        ),
        (
            'usher.toml: connections.ok.pace must be "quota", "guarded" or a number of invitations a minute such as'
            ' "12/min".'
        ),
        "usher.toml: connections.ok.on_doubt must be one of report, resend, silent (did you mean resend?).",
        "usher.toml: connections.ok must have client_secret or certificate, not both.",
        "usher.toml: connections.table.tenant_id is missing.",
        "usher.toml: connections.table.client_id is missing.",
        f"usher.toml: connections.table must have {' or '.join(CREDENTIALS)}.",
        "USHER_CONNECTIONS__FABRIKAM_EU__CLIENT_ID: connections.fabrikam-eu.client_id is missing.",
        (
            "USHER_CONNECTIONS__FABRIKAM_EU__TENANT_ID: connections.fabrikam-eu must have client_secret or certificate"
            " or client_assertion or managed_identity."
        ),
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
            load(tmp_path, text)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_times_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """A row is never looked up before its request has ended and had time to be seen; short times
    for rehearsals are fine.
    """
    assert load(tmp_path, "[ledger]\nsettle_s = 40\n").ledger.settle_s == 40
    assert faults_of(tmp_path, "[ledger]\nsettle_s = 30\n") == [
        "usher.toml: graph.timeout_s (25 s) and 7.5 s for replication together must stay below ledger.settle_s (30 s)."
    ]
    assert faults_of(tmp_path, "", {"USHER_LEDGER__SETTLE_S": "30"})[0].startswith(
        "USHER_LEDGER__SETTLE_S: graph.timeout_s"
    )
    assert faults_of(tmp_path, "[graph]\ntimeout_s = 45\n") == [
        "usher.toml: graph.timeout_s (45 s) and 15 s for replication together must stay below ledger.settle_s (60 s)."
    ]
    settings = load(tmp_path, "[ledger]\nlease_s = 2\nsettle_s = 3\n[graph]\ntimeout_s = 1.5\n")
    assert (settings.ledger.lease_s, settings.ledger.settle_s, settings.graph.timeout_s) == (2, 3, 1.5)


@pytest.mark.parametrize("prefix", ["{usher}", "a b", "a*", "", ":a", "a:", "x" * 65])
def test_a_prefix_is_a_plain_name(tmp_path: Path, prefix: str) -> None:
    """A prefix becomes part of key patterns, so nothing in it may mean anything to Redis."""
    assert "ledger.prefix must be letters" in faults_of(tmp_path, f'[ledger]\nprefix = "{prefix}"\n')[0]


def test_passwords_in_urls_are_masked(tmp_path: Path) -> None:
    """Neither repr nor a dump nor a copy shows the password in a server's URL, and none can be
    pickled.
    """
    settings = load(
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
    """A URL with a password may be kept in a file, which is read at once: every command needs
    it.
    """
    (tmp_path / "url").write_text("redis://:pw@host\n")
    settings = load(tmp_path, '[redis]\nurl = "file:url"\n', {"USHER_BROKER_URL": "env:RABBIT", "RABBIT": "amqp://r"})
    assert (settings.redis.url, settings.broker.url) == ("redis://:pw@host", "amqp://r")
    assert settings.referenced_files == (tmp_path / "url",)
    assert faults_of(tmp_path, '[redis]\nurl = "file:gone"\n[broker]\nurl = "env:"\n') == [
        "usher.toml: redis.url refers to file:gone, which does not exist.",
        "usher.toml: broker.url must name an environment variable after env: (letters, digits and _).",
    ]


def test_secrets_are_not_read_with_the_settings(tmp_path: Path) -> None:
    """A producer without any secret reads the same configuration."""
    settings = load(
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


def test_a_file_is_watched_wherever_a_setting_names_it(tmp_path: Path) -> None:
    """No table lists its own references: those of inner tables, and a token's in place of a secret,
    are found as well.
    """
    secretless = CONTOSO.replace('client_secret = "env:CONTOSO_SECRET"', 'client_assertion = "file:token"')
    settings = load(tmp_path, secretless + '[connections.contoso.clean]\nspare_addresses = "file:spared"')
    assert settings.referenced_files == (tmp_path / "spared", tmp_path / "token")


def test_the_digest_follows_the_effective_configuration(tmp_path: Path) -> None:
    """Same meaning, same digest, wherever it was written; another setting, another digest; a
    password is no part of it.
    """
    plain = load(
        tmp_path, '[redis]\nurl = "redis://:one@h"\n[quota]\nwrites_per_app = "35000/300s"\n[ledger]\nkeep = "24h"\n'
    )
    other = load(tmp_path, '[ledger]\nkeep = "1d"\n', {"USHER_REDIS_URL": "redis://:two@h"})
    assert plain.digest == other.digest
    assert len(plain.digest) == 64
    assert load(tmp_path, CONTOSO).digest != load(tmp_path, CONTOSO + "precheck = false\n").digest
    assert Settings(ledger=LedgerSection(settle_s=61)).digest != Settings().digest


def test_settings_do_not_change(tmp_path: Path) -> None:
    """Settings are shared between threads: nothing in them can be set, and nothing keeps them as a
    key.
    """
    settings = load(tmp_path, CONTOSO)
    for holder, name in ((settings, "quota"), (settings.ledger, "keep_s"), (settings.connection("contoso"), "cloud")):
        with pytest.raises((AttributeError, ValueError)):
            setattr(holder, name, None)
    with pytest.raises(TypeError):
        settings.connections["x"] = settings.connection("contoso")  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(settings)


def test_a_connection_can_be_dumped() -> None:
    """A dump of a connection is JSON and holds references, not secrets."""
    dumped = json.loads(build_connection(pace="12/min").model_dump_json())
    assert (dumped["client_secret"], dumped["certificate"], dumped["pace"]) == (["env:A"], None, "12/min")


def test_importing_the_package_is_cheap() -> None:
    """`usher --help` and producers may import config, its errors and secrets without pydantic."""
    code = (
        "import sys, config, config.errors, config.secrets, config.references, config.values, config.clouds;"
        "assert 'pydantic' not in sys.modules and 'tomllib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize(
    ("table", "key"),
    [("[ledger]", "ledger"), ("[schedules]", "schedules"), ("[connections]", "connections"), ("[graph]", "graph")],
)
def test_a_time_zone_after_a_table_is_told_where_it_belongs(tmp_path: Path, table: str, key: str) -> None:
    """TOML gives it to the table before it; the sentence says where to write it instead."""
    assert faults_of(tmp_path, f'{table}\ntimezone = "Europe/Berlin"\n') == [
        f"usher.toml: {key}.timezone {AFTER_A_TABLE}"
    ]
