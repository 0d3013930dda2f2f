from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from config import watch
from config.errors import ConfigError
from config.reader import load_settings
from config.settings import Settings
from config.watch import SECOND_LOOK_S, Watched

CONTOSO = '[connections.contoso]\ntenant_id = "a.com"\nclient_id = "x"\nclient_secret = "file:secret"\n'


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class _Scene:
    """A file, its watcher, a clock to turn, and a count of readings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = _Clock()
        self.reads = 0
        self.watched = Watched(self._load, 2.0, self.clock)

    def _load(self) -> Settings:
        self.reads += 1
        return load_settings({}, self.path)

    def write(self, text: str) -> None:
        """Replace the file's text as editors do, under a new inode, so that no clock's resolution
        plays a part.
        """
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    def later(self, seconds: float = 2.0) -> Settings:
        self.clock.now_s += seconds
        return self.watched.settings


@pytest.fixture
def scene(tmp_path: Path) -> _Scene:
    """A configuration with one connection, not read yet."""
    scene = _Scene(tmp_path / "usher.toml")
    scene.write(CONTOSO)
    return scene


def test_an_unchanged_file_is_read_once(scene: _Scene) -> None:
    """Time passes, nothing changed: nothing is read."""
    first = scene.watched.settings
    for _ in range(5):
        assert scene.later() is first
    assert (scene.reads, scene.watched.generation, scene.watched.problem) == (1, 1, None)
    assert scene.watched.settings.referenced_files == (scene.path.parent / "secret",)


def test_looking_is_rare(scene: _Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often settings are asked for, the files are looked at once in an interval."""
    _ = scene.watched.settings
    looks: list[Path] = []
    stamp = watch._stamp

    def count(path: Path) -> object:
        looks.append(path)
        return stamp(path)

    monkeypatch.setattr(watch, "_stamp", count)
    for _ in range(1000):
        scene.later(0.0039)
    assert len(looks) <= 2 * 2


def test_a_change_counts_within_ten_seconds(scene: _Scene) -> None:
    """A changed file is seen at the next look and believed at the one after, if it stayed as it
    was.
    """
    _ = scene.watched.settings
    scene.write(CONTOSO + "precheck = false\n")
    assert scene.later().connection("contoso").precheck
    assert not scene.later(SECOND_LOOK_S).connection("contoso").precheck
    assert scene.watched.generation == 2


def test_a_file_being_written_is_not_believed(scene: _Scene) -> None:
    """Half a file that is good TOML is not taken for all of it while it grows."""
    _ = scene.watched.settings
    for text in ("", "[ledger]\n", "[ledger]\nlease_s = 7\n", "[ledger]\nlease_s = 7\n" + CONTOSO[:30]):
        scene.write(text)
        assert scene.later(SECOND_LOOK_S if scene.reads > 1 else 2.0).ledger.lease_s == 15
    scene.write("[ledger]\nlease_s = 7\n" + CONTOSO)
    scene.later()
    settings = scene.later()
    assert settings.ledger.lease_s == 7
    assert "contoso" in settings.connections


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty."),
        (" \n", "the file is empty."),
        ("[ledger", "is not TOML"),
        ("[ledger]\nlease_s = 0\n", "ledger.lease_s must be"),
    ],
)
def test_a_faulty_file_keeps_the_last_good_settings(scene: _Scene, text: str, problem: str) -> None:
    """What cannot be believed changes nothing, is told as a problem, and is read again until it is
    good.
    """
    first = scene.watched.settings
    scene.write(text)
    for _ in range(4):
        assert scene.later() is first
    assert problem in (scene.watched.problem or "")
    assert scene.watched.generation == 1
    scene.write(CONTOSO + "[ledger]\nlease_s = 9\n")
    scene.later()
    assert scene.later().ledger.lease_s == 9
    assert scene.watched.problem is None


def test_a_file_that_vanished_keeps_the_last_good_settings(scene: _Scene) -> None:
    """No other file takes its place, and it counts again when it is back."""
    first = scene.watched.settings
    scene.path.unlink()
    scene.later()
    assert scene.later() is first
    assert scene.watched.problem == f"{scene.path}: there is no such file any more."
    scene.write(CONTOSO)
    scene.later()
    assert scene.later() == first
    assert scene.watched.problem is None


def test_a_problem_that_mends_itself_is_noticed(scene: _Scene) -> None:
    """A file back to what it was, to the very same inode, clears the problem."""
    first = scene.watched.settings
    scene.path.rename(scene.path.with_suffix(".aside"))
    scene.later()
    scene.later()
    assert scene.watched.problem
    scene.path.with_suffix(".aside").rename(scene.path)
    for _ in range(2):
        assert scene.later() == first
    assert scene.watched.problem is None


def test_a_rotated_secret_is_a_change(scene: _Scene) -> None:
    """A file that the configuration refers to counts as part of it: written, replaced through a
    link, or gone.
    """
    (scene.path.parent / "one").write_text("1")
    (scene.path.parent / "two").write_text("2")
    secret = scene.path.parent / "secret"
    secret.symlink_to("one")
    digest = scene.watched.settings.digest
    secret.unlink()
    secret.symlink_to("two")
    scene.later()
    assert scene.later().digest == digest
    assert scene.watched.generation == 2
    secret.unlink()
    scene.later()
    scene.later()
    assert (scene.watched.generation, scene.watched.problem) == (3, None)


def test_a_change_of_the_same_size_and_time_is_seen(scene: _Scene) -> None:
    """Writing in place within the clock's resolution is seen by the change time at the latest."""
    _ = scene.watched.settings
    before = scene.path.stat()
    scene.path.write_text(CONTOSO.replace("a.com", "b.com"))
    os.utime(scene.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    scene.later()
    assert scene.later().connection("contoso").tenant_id == "b.com"


def test_the_first_reading_raises(tmp_path: Path) -> None:
    """A process that starts with a faulty file says so; asked again, it reads again."""
    scene = _Scene(tmp_path / "usher.toml")
    scene.write("[ledger]\nx = 1\n")
    with pytest.raises(ConfigError, match=r"ledger\.x"):
        _ = scene.watched.settings
    scene.write("")
    assert scene.watched.settings.source == scene.path


def test_the_file_first_found_is_the_one_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its folder goes on with its own configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("USHER_CONFIG", raising=False)
    path = tmp_path / "usher.toml"
    path.write_text(CONTOSO)
    clock = _Clock()
    watched = Watched(clock=clock)
    assert watched.settings.source == path
    monkeypatch.chdir("/")
    path.write_text(CONTOSO + "precheck = false\n")
    for _ in range(2):
        clock.now_s += 2
        assert watched.settings.source == path
    assert not watched.settings.connection("contoso").precheck


def test_without_files_nothing_is_watched() -> None:
    """Settings from the environment alone are read once."""
    clock = _Clock()
    watched = Watched(Settings, 2.0, clock)
    first = watched.settings
    clock.now_s += 100
    assert watched.settings is first
    assert watched.settings.referenced_files == ()


def test_threads_share_one_reading(scene: _Scene) -> None:
    """Many threads at once read once, and nobody waits for a slow reading once there are
    settings.
    """
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(10)
        _ = scene.watched.settings

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert scene.reads == 1
    with scene.watched._lock:  # somebody is reading
        scene.later()
