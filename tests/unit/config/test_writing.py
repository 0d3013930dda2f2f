"""A connection is put into the file that people wrote, and nothing of theirs is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.reader import load_settings
from config.writing import append_table, file_to_write, remove_table, write_private

TABLE = {
    "tenant_id": "11111111-2222-3333-4444-555555555555",
    "client_id": "6f2c3d0a-0000-0000-0000-000000000001",
    "certificate": "file:secrets/new.pem",
}


def test_all_that_stands_in_the_file_stays(tmp_path: Path) -> None:
    """Comments, order, a last line without its end; the new table comes last and is read back."""
    path = tmp_path / "usher.toml"
    before = '# ours\n[ledger]\nkeep = "10d"  # short'
    path.write_text(before)
    path.chmod(0o640)
    append_table(path, "connections", "new", TABLE, {})
    assert path.read_text().startswith(before + "\n\n[connections.new]\n")
    assert path.stat().st_mode & 0o777 == 0o640
    settings = load_settings({}, path)
    assert settings.connection("new").certificate is not None
    assert settings.ledger.keep_s == 864_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["usher.toml"]


def test_a_file_of_windows_keeps_its_line_ends(tmp_path: Path) -> None:
    """And its byte order mark."""
    path = tmp_path / "usher.toml"
    path.write_bytes(b"\xef\xbb\xbf[ledger]\r\nkeep = 10\r\n")
    append_table(path, "connections", "new", TABLE, {})
    assert path.read_bytes().replace(b"\r\n", b"").count(b"\n") == 0
    assert load_settings({}, path).connection("new").tenant_id == TABLE["tenant_id"]


def test_a_new_file_is_the_owners_alone_and_a_link_stays_one(tmp_path: Path) -> None:
    """0600, for it may come to hold a password."""
    real, link = tmp_path / "real" / "usher.toml", tmp_path / "usher.toml"
    link.symlink_to(real)
    append_table(link, "connections", "new", TABLE, {})
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    append_table(link, "connections", "second", TABLE, {})
    assert set(load_settings({}, link).connections) == {"new", "second"}


@pytest.mark.parametrize(
    ("before", "changes", "words"),
    [
        ('[connections.new]\ntenant_id = "a.example"\n', {}, "has a connection new already"),
        ("connections = 5\n", {}, "Nothing was written"),
        ("[ledger\n", {}, "is not TOML as it stands"),
        ("", {"client_id": "with a blank"}, "client_id must be"),
        ("", {"client_secret": "literal"}, "client_secret must be env:NAME or file:/path"),
        ('[ledger]\nkep = "1d"\n', {}, "is not a setting usher knows"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, before: str, changes: dict[str, str], words: str
) -> None:
    """The file is as it was, and nothing lies beside it."""
    path = tmp_path / "usher.toml"
    path.write_text(before)
    with pytest.raises(ConfigError) as caught:
        append_table(path, "connections", "new", TABLE | changes, {})
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["usher.toml"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """It may be the only copy; file and folder are the owner's alone."""
    path = write_private(tmp_path / "secrets" / "new.pem", b"first")
    with pytest.raises(ConfigError, match="not overwritten: .* Delete it if nothing does"):
        write_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_file_that_is_read_is_the_one_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is not there yet."""
    monkeypatch.chdir(tmp_path)
    named = tmp_path / "elsewhere.toml"
    assert file_to_write({"USHER_CONFIG": str(named)}) == named
    if not Path("/etc/usher/usher.toml").exists():
        assert file_to_write({}) == tmp_path / "usher.toml"


MANY = """# ours
timezone = "Europe/Berlin"  # once

[connections.first]  # the first
tenant_id = "a.example"
client_id = "6f2c3d0a-0000-0000-0000-000000000001"
client_secret = [
  "env:A",
]

# about the second
[connections . "second"]
tenant_id = "b.example"
client_id = "6f2c3d0a-0000-0000-0000-000000000002"
client_secret = "env:B"

[ledger]
keep = "9d"
"""


def test_a_connection_is_taken_out_and_all_else_stays(tmp_path: Path) -> None:
    """Comments, order, line ends; the last one takes nothing else with it."""
    path = tmp_path / "usher.toml"
    text = MANY
    for ending in ("\n", "\r\n"):
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", ending).encode())
        remove_table(path, "connections", "first", {})
        kept = text[: text.index("[connections.first]")].rstrip() + "\n\n" + text[text.index("# about the second") :]
        assert path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\n\n", "\n") == kept.replace(
            "\n\n", "\n"
        )
        assert set(load_settings({}, path).connections) == {"second"}
        remove_table(path, "connections", "second", {})
        assert load_settings({}, path).connections == {}
        left = path.read_bytes()
        assert (left.count(b"# about the second"), left.count(b"9d"), left.count(b"\r")) == (
            (1, 1, left.count(b"\n")) if ending == "\r\n" else (1, 1, 0)
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["usher.toml"]


def test_a_line_in_a_value_is_no_table(tmp_path: Path) -> None:
    """What looks like the next table may stand in a text of several lines."""
    path = tmp_path / "usher.toml"
    table = '[connections.new]\ntenant_id = "a.example"\nclient_id = "x"\nclient_secret = "env:A"\n'
    long = 'redirect_url = """https://a.example/\\\n\n[ledger]"""\n'
    path.write_text(f"{table.replace('client_id', long + 'client_id')}[ledger]\nkeep = 10\n")
    remove_table(path, "connections", "new", {})
    assert path.read_text() == "[ledger]\nkeep = 10\n"


OWN_TABLE = '[connections.new]\ntenant_id = "a.example"\nclient_id = "x"\nclient_secret = "env:A"\n'
NEEDED = '[schedules.night]\ntask = "check_connections"\nevery = "1d"\nconnection = "new"\n'


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("", "has no connection new"),
        (
            '[connections]\nnew = {tenant_id = "a.example", client_id = "x", client_secret = "env:A"}\n',
            "table of its own",
        ),
        (OWN_TABLE + NEEDED, "schedules.night.connection names no connection"),
    ],
)
def test_what_cannot_be_taken_out_stays(tmp_path: Path, before: str, words: str) -> None:
    """A sentence, and the file as it was."""
    path = tmp_path / "usher.toml"
    path.write_text(before)
    with pytest.raises(ConfigError) as caught:
        remove_table(path, "connections", "new", {})
    assert words in str(caught.value)
    assert path.read_text() == before
