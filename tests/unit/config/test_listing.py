"""A line is taken out of a list, and nothing else of the file changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.listing import find_line, remove_line, with_line, without_line
from config.reader import load_settings

PATH = Path("tenants.csv")
HEAD = b"name,tenant_id,app\n"
APP = '[apps.msp]\nclient_id = "00000000-0000-4000-8000-000000000001"\nclient_secret = "env:MSP"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD + b"a,1,x\nb,2,x\nc,3,x\n", HEAD + b"a,1,x\nc,3,x\n"),
        (HEAD + b"a,1,x\nb,2,x", HEAD + b"a,1,x\n"),
        (b"\xef\xbb\xbfNAME;tenant_id\r\n\r\n b ;2\r\n'a'; 1\r\n", b"\xef\xbb\xbfNAME;tenant_id\r\n\r\n'a'; 1\r\n"),
        (b'tenant_id,tags,"name"\n2,"x\ny",b\n1,"b",a\n', b'tenant_id,tags,"name"\n1,"b",a\n'),
        (b'name,tenant_id,tags\n"b",2\na,"1","b\nb,2,"\n', b'name,tenant_id,tags\na,"1","b\nb,2,"\n'),
    ],
)
def test_one_line_goes_and_no_byte_besides(before: bytes, after: bytes) -> None:
    """Order marks, line ends, quotes, blanks and a line over several stay as they are."""
    assert without_line(PATH, before, "b") == after


def test_who_is_not_there_is_named() -> None:
    """Nothing is written; nor for a column that the list has not."""
    with pytest.raises(ConfigError, match="has no connection z"):
        without_line(PATH, HEAD + b"a,1,x\n", "z")
    with pytest.raises(ConfigError, match="has no column tags"):
        with_line(PATH, HEAD, {"name": "z", "tags": "eu"})


def write(folder: Path, more: str = "") -> tuple[Path, Path]:
    """Write a configuration and its list."""
    config, listed = folder / "usher.toml", folder / "tenants.csv"
    config.write_text(f'connections_file = "tenants.csv"\n{APP}{more}')
    line = "00000000-0000-4000-8000-00000000000"
    listed.write_bytes(HEAD + f"a,{line}1,msp\nb,{line}2,msp\n".encode())
    return config, listed


def test_the_file_keeps_its_rights_and_a_link_stays_one(tmp_path: Path) -> None:
    """Atomically: whoever reads it meanwhile reads the old one or the new one."""
    config, listed = write(tmp_path)
    listed.chmod(0o640)
    real = tmp_path / "real.csv"
    listed.rename(real)
    listed.symlink_to(real)
    node = real.stat().st_ino
    assert remove_line(load_settings(env={}, path=config), "b") == listed
    assert (listed.is_symlink(), real.stat().st_mode & 0o777, real.stat().st_ino != node) == (True, 0o640, True)
    assert list(load_settings(env={}, path=config).connections) == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real.csv", "tenants.csv", "usher.toml"]


def test_what_a_schedule_names_stays(tmp_path: Path) -> None:
    """The sentence names the schedule."""
    schedule = '[schedules.nightly]\ntask = "retry_failed"\nconnection = "b"\ncron = "0 3 * * *"\n'
    config, listed = write(tmp_path, schedule)
    before = listed.read_bytes()
    with pytest.raises(ConfigError, match=r"schedules\.nightly\.connection names no connection"):
        remove_line(load_settings(env={}, path=config), "b")
    assert listed.read_bytes() == before


def test_a_line_is_found_with_its_empty_cells(tmp_path: Path) -> None:
    """By column, and as it is written below its headings; a line may be shorter than these."""
    config, listed = write(tmp_path)
    settings = load_settings(env={}, path=config)
    listed.write_text('name;tenant_id;app;tags\nx;t;msp;eu\n"b";t;msp\n')
    assert find_line(settings, "b") == (
        {"name": "b", "tenant_id": "t", "app": "msp", "tags": ""},
        'name;tenant_id;app;tags\n"b";t;msp',
    )
    assert find_line(settings, "nobody") == ({}, "")
