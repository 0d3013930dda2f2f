from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.reader import load_settings
from config.values import Limit
from tests.configs import CONTOSO, TENANT, faults_of, load


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
    """Syntax errors name line and column; folders, other encodings, devices and depth have their
    sentence.
    """
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


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Every section has an environment form; lists are JSON or commas; short forms win; empty means
    not set.
    """
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
    settings = load(tmp_path, '[redis]\nurl = "redis://file"\n' + CONTOSO, env)
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
    assert faults_of(
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
            "USHER_CONNECTIONS__CONTOSO__ALLOWED_DOMAINS: connections.contoso.allowed_domains must be a JSON list of"
            " texts, or texts separated by commas."
        ),
        "USHER_LEDGR__SETTLE_S: ledgr is not a section usher knows (did you mean ledger?).",
        (
            "USHER_LEDGER__SETTLE_S: ledger.settle_s must be a length of time above zero: seconds, or text such as "
            '"90s", "15m", "12h" or "30d".'
        ),
        "USHER_BROKER_URL: broker.url needs redis.url too (the private server is its own broker).",
        "usher.toml: connections.contoso.x is not a setting usher knows.",
        (
            "USHER_CONNECTIONS__OTHER: connections.other must be a table: settings of a connection stand under"
            " [connections.NAME]."
        ),
    ]
