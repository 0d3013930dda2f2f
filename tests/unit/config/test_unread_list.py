"""A list of connections that cannot be read at all stops what needs it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigError, FaultyConnection, UnknownConnection
from config.listing import append_line
from config.reader import load_settings
from config.settings import Settings
from tasks.connections import need_connection
from tasks.gone import gone_words
from tests.unit.config.test_listed import APP, TENANT, watch, write

OWN = '[connections.own]\napp = "msp"\ntenant_id = "own.example"\ntags = ["eu"]\n'
LINES = f"name,tenant_id,app\nalfa,{TENANT.format(1)},msp\n"


def become_a_folder(path: Path) -> None:
    """Let a folder be there instead."""
    path.unlink()
    path.mkdir()


WAYS: dict[str, Callable[[Path], object]] = {
    "there is no such file": Path.unlink,
    "it cannot be read (Is a directory)": become_a_folder,
    "the headings must be name, tenant_id": lambda path: path.write_text(""),
    "it is not CSV": lambda path: path.write_text(LINES + '"beta\n'),
    "it is not UTF-8 text": lambda path: path.write_bytes(LINES.encode() + b"b\xfc,b.example,msp\n"),
    "tenant_id must be the tenant's GUID": lambda path: path.write_text(LINES.replace(TENANT.format(1), "x y")),
}


@pytest.fixture
def unread(tmp_path: Path) -> Settings:
    """Settings whose list is gone."""
    path = write(tmp_path, LINES, APP + OWN)
    (tmp_path / "tenants.csv").unlink()
    return load_settings({}, path)


@pytest.mark.parametrize("fault", WAYS)
def test_a_list_that_cannot_be_read_leaves_the_rest(tmp_path: Path, fault: str) -> None:
    """Whatever is wrong with it: connections of the configuration are there, and it is told."""
    path = write(tmp_path, LINES, APP + OWN)
    WAYS[fault](tmp_path / "tenants.csv")
    settings = load_settings({}, path)
    assert settings.connection("own").tenant_id == "own.example"
    first, means = settings.complaints
    assert fault in first
    assert means == (
        f"{tmp_path}/tenants.csv: so its connections are not known now, and what is left for them waits; all others go"
        " on."
    )


@pytest.mark.parametrize("fault", WAYS)
def test_whoever_runs_keeps_the_last_good_list(tmp_path: Path, fault: str) -> None:
    """And says what is wrong with it; whoever starts then goes on once it is whole."""
    path = write(tmp_path, LINES, APP + OWN)
    listed = tmp_path / "tenants.csv"
    watched, look = watch(path)
    first = watched.settings
    WAYS[fault](listed)
    assert look(None) is first
    assert fault in (watched.problem or "")
    restarted, look = watch(path)
    assert [*restarted.settings.connections] == ["own"]
    listed.rmdir() if listed.is_dir() else listed.unlink(missing_ok=True)
    assert sorted(look(LINES).connections) == ["alfa", "own"]
    assert not restarted.problem


def test_what_may_mean_one_of_its_connections_is_refused(unread: Settings) -> None:
    """With what is wrong with the list; names of the configuration are none of it."""
    assert unread.choose("own,sandbox") == ["own", "sandbox"]
    for ask in (unread.connection, unread.choose):
        with pytest.raises(FaultyConnection) as named:
            ask("alfa")
        assert named.value.faults == [*unread.unread]
        with pytest.raises(UnknownConnection) as unknown:
            ask("No Name")
        assert not isinstance(unknown.value, FaultyConnection)
    for several in ("all", "tag:eu", "tag:us"):
        for faulty in (False, True):
            with pytest.raises(ConfigError) as error:
                unread.choose(several, faulty=faulty)
            assert error.value.faults[-1].startswith(f"Nobody can say which connections {several} means")
    assert unread.choose("all", {"own"}) == ["own"]
    with pytest.raises(ConfigError):
        unread.choose("all", {"own", "alfa"})


def test_what_asks_the_ledger_alone_takes_any_name(unread: Settings) -> None:
    """A hold is by name; and a job says why it waits."""
    assert unread.choose("alfa,own", faulty=True) == ["alfa", "own"]
    need_connection(unread, "alfa")
    with pytest.raises(UnknownConnection):
        unread.choose("No Name", faulty=True)
    assert "until the list of connections can be read again" in gone_words(unread, "alfa")
    assert not gone_words(unread, "own")


def test_schedules_and_producers_are_not_complained_of(tmp_path: Path) -> None:
    """Whom they name may be in it."""
    tables = (
        '[schedules.x]\ntask = "clean_guests"\nconnection = "alfa"\nevery = "1d"\n'
        '[producers.hr]\ntoken = "env:HR"\nconnections = ["alfa"]\n'
    )
    path = write(tmp_path, "", APP + tables)
    settings = load_settings({}, path)
    assert settings.complaints == [*settings.unread]
    assert settings.members("alfa") == ["alfa"]


def test_nothing_is_written_into_it(tmp_path: Path) -> None:
    """A line more would not mend it."""
    path = write(tmp_path, 'name,tenant_id,app\n"beta\n', APP)
    with pytest.raises(ConfigError, match="it is not CSV") as error:
        append_line(load_settings({}, path), "gamma", {"tenant_id": "g.example", "app": "msp"})
    assert "Nothing was written" in str(error.value)
    assert (tmp_path / "tenants.csv").read_text() == 'name,tenant_id,app\n"beta\n'
