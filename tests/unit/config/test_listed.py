"""Applications that are shared, and connections that stand in a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigError, UnknownConnection
from config.reader import load_settings
from config.settings import Settings
from config.watch import Watched

TENANT = "00000000-0000-4000-8000-0000000000{:02d}"
APP = """
connections_file = "tenants.csv"
[apps.msp]
client_id = "11111111-2222-3333-4444-555555555555"
client_secret = "env:MSP"
"""


def write(folder: Path, lines: str, config: str = APP) -> Path:
    """Write a configuration with a list beside it."""
    (folder / "tenants.csv").write_text(lines, encoding="utf-8")
    path = folder / "usher.toml"
    path.write_text(config, encoding="utf-8")
    return path


def read(folder: Path, lines: str, config: str = APP) -> Settings:
    """Read them."""
    return load_settings({}, write(folder, lines, config))


def faults(folder: Path, lines: str, config: str = APP) -> list[str]:
    """Return the faults of reading them, or of the list alone, without the folder."""
    try:
        *found, means = read(folder, lines, config).unread
        assert "so its connections are not known now" in means
    except ConfigError as error:
        found = error.faults
    return [fault.replace(f"{folder}/", "") for fault in found]


def watch(path: Path) -> tuple[Watched, Callable[[str | None], Settings]]:
    """Return watched settings, and what writes another list (None: leaves it) and looks until it is
    believed.
    """
    clock = [0.0]
    watched = Watched(lambda: load_settings({}, path), clock=lambda: clock[0])

    def look(lines: str | None) -> Settings:
        if lines is not None:
            path.with_name("tenants.csv").write_text(lines)
        for _ in range(3):
            clock[0] += 5
            found = watched.settings
        return found

    return watched, look


def test_a_line_is_a_connection(tmp_path: Path) -> None:
    """With its application's client and credential, and any setting as a column."""
    settings = read(
        tmp_path,
        f"name;tenant_id;app;tags;daily_limit;allowed_domains\nalfa;{TENANT.format(1)};msp;eu;90;a.example;\n".replace(
            "a.example;", "a.example"
        )
        + f"beta;{TENANT.format(2)};msp;eu\n",
    )
    alfa, beta = settings.connections["alfa"], settings.connections["beta"]
    assert (alfa.tenant_id, alfa.client_id, alfa.app, alfa.tags) == (
        TENANT.format(1),
        "11111111-2222-3333-4444-555555555555",
        "msp",
        ("eu",),
    )
    assert (alfa.daily_limit, beta.daily_limit) == (90, None)
    assert alfa.allowed_domains == ("a.example",)
    assert alfa.authority.endswith(TENANT.format(1))
    assert beta.authority.endswith(TENANT.format(2))
    assert [str(reference) for reference in beta.references] == ["env:MSP"]
    assert alfa.app_key == beta.app_key
    assert alfa.client_key != beta.client_key


def test_a_connection_of_the_configuration_has_an_application_too(tmp_path: Path) -> None:
    """It may say where it is; its client and credential are the application's."""
    config = APP.replace('connections_file = "tenants.csv"', "") + (
        f'[connections.one]\napp = "msp"\ntenant_id = "{TENANT.format(1)}"\ncloud = "usgov"\n'
        f'[connections.two]\napp = "nobody"\ntenant_id = "{TENANT.format(2)}"\n'
        f'[connections.three]\napp = "msp"\ntenant_id = "{TENANT.format(3)}"\nclient_secret = "env:X"\n'
    )
    assert faults(tmp_path, "", config) == [
        "usher.toml: connections.two.client_id is missing.",
        "usher.toml: connections.two.app names no application that is configured.",
        "usher.toml: connections.three.client_secret is the application's: it stands under [apps.msp].",
    ]


def test_a_line_has_a_policy_of_its_own(tmp_path: Path) -> None:
    """The settings of a connection's tables are columns, too, and their faults are told by them."""
    heading = "name;tenant_id;app;clean.disable_inactive_after;clean.most_disabled;clean.spare_domains;sync.most_left\n"
    alfa = f'alfa;{TENANT.format(1)};msp;90d;7;"a.example;b.example";5%'
    path = write(tmp_path, f"{heading}{alfa}\nbeta;{TENANT.format(2)};msp;;;;\n")
    settings = load_settings({}, path)
    own, none = settings.connections["alfa"].clean, settings.connections["beta"].clean
    assert (own.disable_inactive_after_s, own.most_disabled) == (90 * 86_400, 7)
    assert own.spare_domains == ("a.example", "b.example")
    assert (none.disable_inactive_after_s, none.most_disabled) == (None, 100)
    told = faults(tmp_path, f"{heading}alfa;{TENANT.format(1)};msp;soon;no;;\n")
    assert [fault.split(" must")[0] for fault in told] == [
        "tenants.csv line 2: clean.disable_inactive_after",
        "tenants.csv line 2: clean.most_disabled",
    ]


def test_faults_are_told_by_their_line(tmp_path: Path) -> None:
    """All at once, and nothing of a cell that may be a secret."""
    told = faults(
        tmp_path,
        "name,tenant_id,app,pace,client_secret\n"
        f"alfa,{TENANT.format(1)},msp,fast,\n"
        "beta,no tenant,msp,,\n"
        f"Gamma!,{TENANT.format(3)},msp,,\n"
        f"delta,{TENANT.format(4)},other,,\n"
        f"delta,{TENANT.format(5)},msp,,\n",
    )
    assert told[-2:] == [
        "tenants.csv line 5: delta stands in line 6, too: each needs a name of its own.",
        "tenants.csv line 6: delta stands in line 5, too: each needs a name of its own.",
    ]
    told = faults(
        tmp_path,
        "name,tenant_id,app,pace,client_secret\n"
        f"alfa,{TENANT.format(1)},msp,fast,\n"
        "beta,no tenant,msp,,\n"
        f"Gamma!,{TENANT.format(3)},msp,,\n"
        f"delta,{TENANT.format(4)},other,,\n"
        f"eps,{TENANT.format(6)},,,literal-secret\n",
    )
    assert [fault.split(":")[0] for fault in told] == [f"tenants.csv line {number}" for number in (2, 3, 4, 5, 6, 6)]
    words = ("pace", "tenant_id must be", "name must be", "app names no")
    assert all(word in fault for word, fault in zip(words, told, strict=False))
    assert "literal-secret" not in " ".join(told)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("tenant,name\n", "tenants.csv line 1: 'tenant' is no setting of a connection"),
        ("name,app\n", "the headings must be name, tenant_id and others, each once, as in name,tenant_id,app,tags."),
        ('name,tenant_id\n"alfa,x\n', "it is not CSV"),
        ("name,tenant_id\na,b,c\n", "tenants.csv line 2: there are more cells than headings."),
        ("name,tenant_id,comment\n", "take the column out, for notes of one's own have no place in this list"),
        ("name,tenant_id,tag\n", "'tag' is no setting of a connection (did you mean tags?)."),
        ("sep=;\nname;tenant_id\n", "line 1: 'sep=' is a note for Excel and no heading: take this line out."),
        ("name,tenant_id,\n", "line 1: a column has no heading: name it, or take it out."),
    ],
)
def test_what_is_no_list_is_a_sentence(tmp_path: Path, lines: str, fault: str) -> None:
    """Named by file and line."""
    assert fault in faults(tmp_path, lines)[0]


def test_a_list_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """Which names the setting."""
    path = write(tmp_path, "")
    (tmp_path / "tenants.csv").unlink()
    assert "there is no such file, which connections_file names" in load_settings({}, path).complaints[0]


def test_connections_are_chosen_by_name_and_tag(tmp_path: Path) -> None:
    """Each once, in the order in which they are named."""
    lines = "name,tenant_id,app,tags\n" + "".join(
        f"c{n},{TENANT.format(n)},msp,{'eu;big' if n < 2 else 'us'}\n" for n in range(4)
    )
    settings = read(tmp_path, lines)
    assert settings.choose("all") == ["c0", "c1", "c2", "c3"]
    assert settings.choose("c3, tag:eu,c0") == ["c3", "c0", "c1"]
    with pytest.raises(ConfigError, match="No connection has the tag xx"):
        settings.choose("tag:xx")
    with pytest.raises(UnknownConnection):
        settings.choose("c9")


def test_a_changed_list_counts(tmp_path: Path) -> None:
    """Without a restart, and one that is broken leaves what was."""
    path = write(tmp_path, f"name,tenant_id,app\nalfa,{TENANT.format(1)},msp\n")
    watched, look = watch(path)
    first = watched.settings

    second = look(f"name,tenant_id,app\nalfa,{TENANT.format(1)},msp\nbeta,{TENANT.format(2)},msp\n")
    assert (sorted(first.connections), sorted(second.connections)) == (["alfa"], ["alfa", "beta"])
    assert first.digest != second.digest
    assert look("name,tenant_id,app\nalfa,x y,msp\n") is second
    assert "line 2" in (watched.problem or "")


def test_a_list_that_was_cut_is_not_believed(tmp_path: Path) -> None:
    """Neither one that ends in the middle of a line nor, where some had been there, one without any
    line: the last good ones stay. To begin with none is nobody's loss.
    """
    lines = f"name,tenant_id,app\nalfa,{TENANT.format(1)},msp\nbeta,contoso.com.au,msp\n"
    path = write(tmp_path, lines)
    watched, look = watch(path)
    first = watched.settings

    for cut in (lines[:-9], lines[:-1], lines[: lines.index(",msp")], "name,tenant_id,app\n", "name,ten", ""):
        assert look(cut) is first, cut
        assert "tenants.csv" in (watched.problem or ""), cut
    look("name,tenant_id,app\n")
    assert "no line any more, where 2 stood" in (watched.problem or "")
    assert sorted(look(lines.partition("beta")[0]).connections) == ["alfa"]
    assert not read(tmp_path, "name,tenant_id,app\n").connections
    look(lines[:-1])
    assert (watched.problem or "").endswith(
        "tenants.csv: its last line has no line break at its end, so the list may be cut off there. Nothing of it"
        " counts until it is whole; if it is, end the last line with a line break."
    )


def test_a_list_that_never_ends_with_a_line_break_is_read(tmp_path: Path) -> None:
    """Programs write such files; only the loss of the line break tells of a cut."""
    lines = f"name,tenant_id,app\nalfa,{TENANT.format(1)},msp"
    path = write(tmp_path, lines)
    watched, look = watch(path)
    assert [*watched.settings.connections] == ["alfa"]
    assert sorted(look(lines + f"\nbeta,{TENANT.format(2)},msp").connections) == ["alfa", "beta"]


@pytest.mark.parametrize("column", ["authority", "graph_url"])
def test_a_list_leads_no_credential_to_a_host_of_its_own(tmp_path: Path, column: str) -> None:
    """Whoever may write a line would have the secret of all tenants; Microsoft's hosts, those of
    applications and this machine may stand there.
    """
    heading = f"name;tenant_id;app;{column}\n"
    told = faults(tmp_path, f"{heading}evil;{TENANT.format(1)};msp;https://attacker.example/x\n")
    assert len(told) == 1
    assert f"{column} must lead to a host of Microsoft's" in told[0]
    app = APP + f'{column} = "https://proxy.example/x"\n'
    path = {"authority": TENANT.format(1), "graph_url": "v1.0"}[column]
    for host in ("login.microsoftonline.us", "graph.microsoft.us", "proxy.example", "127.0.0.1:8443"):
        settings = read(tmp_path, f"{heading}good;{TENANT.format(1)};msp;https://{host}/{path}\n", app)
        assert "good" in settings.connections
