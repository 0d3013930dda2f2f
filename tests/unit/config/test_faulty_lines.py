"""Lines of a list of connections are faulty, or may not be meant as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError, FaultyConnection
from config.reader import load_settings
from config.settings import describe_twins
from tests.unit.config.test_listed import APP, TENANT, faults, read, watch, write

LINES = "".join(f"{name},{TENANT.format(n)},msp,eu\n" for n, name in enumerate(("alfa", "beta", "gamma")))
HEAD = "name,tenant_id,app,tags\n"
MAIL = '[notify]\nhosts = ["hooks.example"]\n'


def test_a_faulty_line_takes_no_other_with_it(tmp_path: Path) -> None:
    """It is told where it alone is named, and where nobody can say whether it is meant."""
    settings = read(tmp_path, f"{HEAD}{LINES}delta,{TENANT.format(4)},other,us\n")
    assert sorted(settings.connections) == ["alfa", "beta", "gamma"]
    fault = f"{tmp_path}/tenants.csv line 5: app names no application that is configured."
    assert settings.complaints == [fault]
    assert settings.choose("alfa,beta") == ["alfa", "beta"]
    for ask in (settings.connection, settings.choose):
        with pytest.raises(FaultyConnection) as named:
            ask("delta")
        assert named.value.faults == [fault]
    for several in ("all", "tag:eu", "alfa,tag:us"):
        with pytest.raises(ConfigError) as error:
            settings.choose(several)
        assert error.value.faults[0] == fault
        assert "so nothing was done: mend what is told above, or name the connections" in error.value.faults[1]
    assert settings.choose("all", {"alfa", "beta"}) == ["alfa", "beta"]
    assert settings.choose("all", faulty=True) == ["alfa", "beta", "delta", "gamma"]
    assert settings.choose("tag:us", faulty=True) == ["delta"]
    assert settings.members("all") == ["alfa", "beta", "delta", "gamma"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("x,no tenant,msp,", "tenant_id must be the tenant's GUID or one of its verified domain names, and 'no te"),
        ("x,,msp,", "tenant_id is missing."),
        ("x,a.example,msp,EU", "tags must be names of a-z, 0-9 and - (64 characters at most) with ; between them, and"),
        ("x,a.example,msp,eu;A b", "'A b' stands there."),
        ("Gamma,a.example,msp,", "name must be a name of a-z, 0-9 and - (64 characters at most), and 'Gamma' stands"),
        ("all,a.example,msp,", "name must be another name: all and tag mean several connections"),
        ("tag,a.example,msp,", "name must be another name: all and tag mean several connections"),
        ("# more,,,", "a line that begins with # is read as a connection, too: take it out."),
        ("alfa,a.example,msp,", "alfa stands in line 2, too"),
        ("x,a.example,nobody,", "line 5: app names no application that is configured."),
    ],
)
def test_a_sentence_names_the_column_and_what_stands_there(tmp_path: Path, lines: str, told: str) -> None:
    """And not the customer; one thing that is wrong is one sentence."""
    faults = read(tmp_path, f"{HEAD}{LINES}{lines}\n").complaints
    assert told in faults[-1]
    assert len(faults) == 1 + ("stands in line" in told)


def test_what_may_be_a_secret_is_not_told(tmp_path: Path) -> None:
    """A column that slipped."""
    secret = "Ab8Q~" + "x" * 35
    (fault,) = read(tmp_path, f"{HEAD}{LINES}x,a.example,msp,{secret}\n").complaints
    assert "tags must be" in fault
    assert secret not in fault


def test_what_other_sections_lack_is_the_lines_fault(tmp_path: Path) -> None:
    """As what does not go together within the line."""
    head = "name,tenant_id,app,deliver,notify,allowed_domains,blocked_domains\n"
    settings = read(
        tmp_path,
        f"{head}alfa,a.example,msp,,,,\nb,b.example,msp,smtp,,,\nc,c.example,msp,mailbox,,,\n"
        "d,d.example,msp,,https://hooks.example/x,,\ne,e.example,msp,,,a.example,a.example\n",
        APP + MAIL,
    )
    assert sorted(settings.connections) == ["alfa"]
    words = ("smtp.url", "mailbox is missing", "notify", "blocked_domains must not")
    assert all(word in fault for word, fault in zip(words, settings.complaints, strict=True)), settings.complaints


def test_whoever_names_a_line_that_went_is_told_of(tmp_path: Path) -> None:
    """And all else counts; without a list it is a fault as ever."""
    more = (
        '[schedules.nightly]\ntask = "clean_guests"\nconnection = "left"\nevery = "1d"\n'
        '[producers.crm]\ntoken = "env:T"\nconnections = ["alfa", "left"]\n'
    )
    settings = read(tmp_path, f"{HEAD}{LINES}", APP + more)
    assert sorted(settings.schedules) == ["nightly"]
    assert settings.producers["crm"].connections == ("alfa", "left")
    assert [fault.replace(f"{tmp_path}/", "") for fault in settings.unmet] == [
        "usher.toml: schedules.nightly.connection names no connection that is configured.",
        "usher.toml: producers.crm.connections names left, which is no connection that is configured.",
    ]
    assert len(faults(tmp_path, "", APP.replace('connections_file = "tenants.csv"', "") + more)) == 3


def test_a_faulty_line_leaves_what_was_known(tmp_path: Path) -> None:
    """While the process runs; all other lines count as they are now."""
    path = write(tmp_path, HEAD + LINES)
    watched, look = watch(path)
    before = watched.settings

    broken = (HEAD + LINES).replace(f"beta,{TENANT.format(1)}", "beta,no tenant") + "delta,d.example,msp,\n"
    for text in (broken, broken.replace("delta", "eps")):
        now = look(text.replace("gamma,", "Gamma,"))
        assert watched.problem is None
        assert now.connections["beta"] == before.connections["beta"]
        assert len(now.complaints) == 2
        assert "gamma" not in now.connections
    assert sorted(now.connections) == ["alfa", "beta", "eps"]
    assert now.digest == load_settings({}, path).digest
    assert sorted(look(HEAD + LINES.replace(f"beta,{TENANT.format(1)}", "beta,b.example")).connections) == [
        "alfa",
        "beta",
        "gamma",
    ]
    assert watched.settings.connections["beta"].tenant_id == "b.example"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_list_in_another_encoding_says_how_to_save_it(tmp_path: Path, encoding: str) -> None:
    """By the line, where it is."""
    path = write(tmp_path, "")
    (tmp_path / "tenants.csv").write_bytes(f"{HEAD}alfa,a.example,msp,\nbeta,b.example,msp,München\n".encode(encoding))
    line = 3 if encoding == "cp1252" else 1
    told = f"tenants.csv line {line}: it is not UTF-8 text. In Excel save it as “CSV UTF-8"
    assert told in load_settings({}, path).unread[0]


def test_tabs_may_stand_between_the_cells(tmp_path: Path) -> None:
    """As Excel puts them there when cells are copied."""
    assert sorted(read(tmp_path, (HEAD + LINES).replace(",", "\t")).connections) == ["alfa", "beta", "gamma"]


@pytest.mark.parametrize("name", ["all", "tag"])
def test_no_connection_is_called_as_several_are(tmp_path: Path, name: str) -> None:
    """Nor in the configuration itself."""
    table = f'[connections.{name}]\ntenant_id = "a.example"\nclient_id = "x"\nclient_secret = "env:S"\n'
    with pytest.raises(ConfigError, match="must be another name: all and tag mean several connections"):
        read(tmp_path, HEAD + LINES, APP + table)


def test_two_lines_of_one_tenant_are_told(tmp_path: Path) -> None:
    """A line filled down; and not two tables, which somebody wrote by hand."""
    table = '[connections.{}]\napp = "msp"\ntenant_id = "{}"\n'
    own = table.format("one", "x.example") + table.format("two", "x.example") + table.format("three", "b.example")
    lines = HEAD + "alfa,a.example,msp,\nbeta,A.example,msp,\ngamma,b.example,msp,\ndelta,d.example,msp,\n"
    settings = read(tmp_path, lines, APP + own)
    advice = "if that is not meant, mend tenant_id in the list of connections."
    assert settings.tell_twins(["alfa", "beta", "delta", "one", "two"]) == [
        f"alfa and beta are the same tenant: {advice}"
    ]
    assert not settings.tell_twins(["three", "gamma"])
    assert describe_twins([f"c{n}" for n in range(7)]).startswith("c0, c1, c2, c3, c4 and 2 more are the same tenant")


def test_a_last_line_that_may_be_cut_is_faulty(tmp_path: Path) -> None:
    """Half of it would be a good one without its last settings."""
    head = "name,tenant_id,app,require_approval\nalfa,a.example,msp,true\n"
    assert not read(tmp_path, f"{head}beta,b.example,msp,true").complaints
    settings = read(tmp_path, f"{head}beta,b.example,msp")
    assert sorted(settings.connections) == ["alfa"]
    assert "line 3: it may be cut off" in settings.complaints[0]
    assert sorted(read(tmp_path, f"{head}beta,b.example,msp\n").connections) == ["alfa", "beta"]
