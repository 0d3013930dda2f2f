"""`usher key new`: a key that the ledger takes, in a file of its owner's, once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli import main
from config.secrets import Secret
from worker.store.seal import Sealer


def run(*arguments: str) -> int:
    """Run `usher key new`; returns its status."""
    with pytest.raises(SystemExit) as ended:
        main(["key", "new", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_makes_a_key_that_the_ledger_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout and nothing else there; each time another one."""
    keys = set()
    for _ in range(2):
        assert run() == 0
        told = capsys.readouterr()
        assert told.err == ""
        keys.add(told.out)
        sealer = Sealer([Secret(told.out.strip())])
        assert sealer.open(sealer.seal(b"link", b"here"), b"here") == b"link"
    assert len(keys) == 2


def test_a_file_is_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the umask; the key itself is not shown, how to name it is."""
    path = tmp_path / "ledger.key"
    assert run("-o", str(path)) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = capsys.readouterr()
    assert path.read_text().strip() not in told.out + told.err
    assert f'key = "file:{path}"' in told.err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_link", [False, True])
def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str], is_link: bool) -> None:
    """Nor what a link leads to: one sentence and status 2."""
    path = tmp_path / "ledger.key"
    if is_link:
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("the only one")
    assert run("-o", str(path)) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
    assert is_link or path.read_text() == "the only one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a traceback."""
    assert run("-o", str(tmp_path / "nowhere" / "key")) == 2
    assert "no such file or directory" in capsys.readouterr().err
