from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.reader import load_settings
from worker.stack.environment import (
    COMMAND_LINE,
    FILE_TEXT,
    Commands,
    Order,
    build_order,
    build_plain_env,
    build_stack_variables,
    build_watcher_env,
    build_worker_env,
    find_differences,
)
from worker.stack.folders import Folders
from worker.stack.private import private_urls

FOLDERS = Folders(Path("/state"), Path("/state"))
CONFIG = """
[connections.contoso]
tenant_id = "contoso.onmicrosoft.com"
client_id = "portal"
client_secret = ["env:CONTOSO_SECRET", "env:CONTOSO_OLD"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "usher.toml"
    path.write_text(CONFIG)
    return path


def _order(env: dict[str, str], commands: Commands | None = None) -> Order:
    return build_order(env, FOLDERS, commands or Commands())


def _differences(running: Order, wanted: Order) -> list[str]:
    return find_differences(json.loads(json.dumps(running.describe())), wanted)


def test_the_same_environment_needs_no_other_worker(config: Path) -> None:
    """What has nothing to do with usher may differ."""
    one = _order({"CONTOSO_SECRET": "a", "TERM": "xterm", "USHER_STATE_DIR": "/a", "USHER_GRACE_S": "1"})
    two = _order({"CONTOSO_SECRET": "a", "TERM": "dumb"})
    assert _differences(one, two) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USHER_QUOTA__WRITES_PER_TENANT", "1/5s"),
        ("USHER_CONFIG", "other.toml"),
        ("SSL_CERT_FILE", "ca.pem"),
        ("REQUESTS_CA_BUNDLE", "ca.pem"),
        ("https_proxy", "http://proxy:3128"),
        ("CONTOSO_SECRET", "another"),
        ("CONTOSO_OLD", "old"),
    ],
)
def test_a_setting_or_a_referenced_secret_that_differs_is_named(config: Path, name: str, value: str) -> None:
    """A worker with another secret, trust or file is not this command's worker, and the names say
    why.
    """
    base = {"CONTOSO_SECRET": "a"}
    differences = _differences(_order(base), _order(base | {name: value}))
    assert name in differences
    assert not {value, "a"} & set(differences), "names only"


def test_a_command_without_the_secrets_can_use_a_worker_that_has_them(config: Path) -> None:
    """A producer runs without the secrets."""
    assert _differences(_order({"CONTOSO_SECRET": "a"}), _order({})) == []
    assert _differences(_order({}), _order({"CONTOSO_SECRET": "a"})) == ["CONTOSO_SECRET"]


def test_a_secret_named_by_a_variable_counts_too(config: Path) -> None:
    """References may stand in the environment as well as in the file."""
    env = {"USHER_CONNECTIONS__B__CLIENT_SECRET": "env:B_SECRET", "B_SECRET": "one"}
    assert _differences(_order(env), _order(env | {"B_SECRET": "two"})) == ["B_SECRET"]


def test_another_command_line_is_a_difference(config: Path) -> None:
    """A worker is shared only by those who would start it alike."""
    assert _differences(_order({}), _order({}, Commands(worker=("other",)))) == [COMMAND_LINE]


def test_what_is_relative_is_made_absolute(config: Path) -> None:
    """The worker's folder is not the command's."""
    here = config.parent
    order = _order(
        {
            "SSL_CERT_FILE": "ca.pem",
            "USHER_CONNECTIONS__A__CA_FILE": "a.pem",
            "USHER_CONNECTIONS__A__CLIENT_SECRET": "file:a,file:/b",
            "USHER_CONNECTIONS__A__CERTIFICATE": "env:PEM",
        }
    )
    assert order.env["USHER_CONFIG"] == str(config)
    assert order.env["SSL_CERT_FILE"] == str(here / "ca.pem")
    assert order.env["USHER_CONNECTIONS__A__CA_FILE"] == str(here / "a.pem")
    assert order.env["USHER_CONNECTIONS__A__CLIENT_SECRET"] == f"file:{here / 'a'},file:/b"
    assert order.env["USHER_CONNECTIONS__A__CERTIFICATE"] == "env:PEM"


def test_a_process_of_the_stack_asks_for_the_same_worker(config: Path) -> None:
    """What the stack itself put into an environment is no setting of the command's."""
    inside = build_stack_variables(private_urls(FOLDERS.server_socket, FOLDERS.ledger_key))
    assert _differences(_order({}), _order(inside)) == []
    assert _order(inside).makes_key


def test_an_order_shows_no_secret(config: Path) -> None:
    """`repr` keeps the environment to itself, and what the next command compares with holds salted
    hashes: no two alike.
    """
    order = _order({"CONTOSO_SECRET": "a-secret"})
    assert "a-secret" not in repr(order)
    one, two = order.describe(), order.describe()
    assert "a-secret" not in json.dumps(one)
    assert one["secrets"]["CONTOSO_SECRET"] != two["secrets"]["CONTOSO_SECRET"]


def test_a_changed_file_is_a_difference(config: Path) -> None:
    """An idle worker is started again for it, before it has noticed by itself."""
    before = _order({})
    config.write_text(CONFIG + 'pace = "12/min"\n')
    assert _differences(before, _order({})) == [FILE_TEXT]


def test_a_configured_ledger_key_is_not_replaced(config: Path) -> None:
    """Embedded mode's own key stands in only where none is configured."""
    assert _order({}).makes_key
    assert not _order({"USHER_LEDGER__KEY": "env:K"}).makes_key
    config.write_text('[ledger]\nkey = "file:/k"\n')
    assert not _order({}).makes_key
    config.write_text("[ledger\nkey =")  # half-written
    assert _order({}).makes_key


def test_settings_read_in_a_child_see_the_private_server(config: Path, tmp_path: Path) -> None:
    """`load_settings` in a child finds the private server and its key, whatever is in their
    paths.
    """
    key = tmp_path / "a, b" / "ledger.key"
    variables = build_stack_variables(private_urls(Path("/run/a b/v.sock"), key))
    settings = load_settings(variables)
    assert settings.redis.url is not None
    assert "/run/a%20b/v.sock" in str(settings.redis.url)
    assert [reference.target for reference in settings.ledger.key] == [str(key)]


def test_only_the_worker_gets_the_secrets(config: Path) -> None:
    """The supervisor and the server start without what only the worker needs."""
    env = {"CONTOSO_SECRET": "s", "HTTPS_PROXY": "http://user:pass@proxy", "PATH": "/bin", "PYTHONPATH": "/x"}
    plain = build_plain_env(env, FOLDERS)
    assert "CONTOSO_SECRET" not in plain
    assert "HTTPS_PROXY" not in plain
    assert plain["PATH"] == "/bin"
    worker = build_worker_env(_order(env), FOLDERS, private_urls(FOLDERS.server_socket))
    assert worker["CONTOSO_SECRET"] == "s"
    assert worker["USHER_PRIVATE"] == "1"
    assert worker["USHER_STATE_DIR"] == "/state"
    assert worker["PYTHONPATH"].split(":")[0] == str(Path(__file__).parents[4])
    assert worker["PYTHONPATH"].split(":")[-1] == "/x"


def test_beat_and_flower_get_no_secret(config: Path) -> None:
    """An allow list: settings and their references, not what these refer to; Flower its own options
    and login besides.
    """
    env = {
        "CONTOSO_SECRET": "s",
        "USHER_B_SECRET": "s",
        "AWS_SECRET_ACCESS_KEY": "s",
        "HTTPS_PROXY": "http://u:s@proxy",
        "USHER_CONNECTIONS__B__CLIENT_SECRET": "env:USHER_B_SECRET",
        "PATH": "/bin",
        "SSL_CERT_FILE": "/ca.pem",
        "USHER_LOGS__LEVEL": "debug",
        "FLOWER_BASIC_AUTH": "name:s",
    }
    urls = private_urls(FOLDERS.server_socket)
    beat = build_watcher_env(_order(env), FOLDERS, urls)
    assert "s" not in beat.values()
    assert not beat.keys() & {"HTTPS_PROXY", "FLOWER_BASIC_AUTH", "USHER_B_SECRET"}
    assert (beat["PATH"], beat["SSL_CERT_FILE"], beat["USHER_LOGS__LEVEL"]) == ("/bin", "/ca.pem", "debug")
    assert beat["USHER_CONNECTIONS__B__CLIENT_SECRET"] == "env:USHER_B_SECRET"
    assert beat["USHER_CONFIG"] == str(config)
    flower = build_watcher_env(_order(env), FOLDERS, urls, "FLOWER_")
    assert flower == beat | {"FLOWER_BASIC_AUTH": "name:s"}


@pytest.mark.parametrize("named_in", ["file", "variable"])
def test_beat_and_flower_get_what_the_brokers_url_refers_to(config: Path, named_in: str) -> None:
    """Every process reads that URL as it starts."""
    env = {"CONTOSO_SECRET": "s", "RABBIT": "amqps://u:p@rabbit"}
    if named_in == "file":
        config.write_text(CONFIG + '[broker]\nurl = "env:RABBIT"\n')
    else:
        env["USHER_BROKER_URL"] = "env:RABBIT"
    beat = build_watcher_env(_order(env), FOLDERS, private_urls(FOLDERS.server_socket))
    assert beat["RABBIT"] == env["RABBIT"]
    assert "CONTOSO_SECRET" not in beat
