"""`usher worker`, `beat` and `flower`: usher's own help and options; Celery's behind `--`."""

from __future__ import annotations

import os
import sys

import pytest

from cli import main


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What this process would be replaced by, from Celery's `-A worker` on."""
    command: list[str] = []

    def replace(path: str, arguments: list[str]) -> None:
        assert path == sys.executable
        assert arguments[1:6] == ["-P", "-m", "celery", "-A", "worker"]
        command.extend(arguments[6:])

    monkeypatch.setattr(os, "execv", replace)
    return command


def run(*arguments: str) -> int:
    """Run a command; returns its status."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("program", ["worker", "beat", "flower"])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_is_ushers_own(
    program: str, option: str, started: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what the program does, how it ends, and how to get at Celery's."""
    assert run(program, option) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Usage: usher {program} [OPTIONS] [-- CELERY'S OPTIONS]")
    assert "in the foreground" in told
    assert f"usher {program} -- --help" in " ".join(told.split())
    assert started == []


@pytest.mark.parametrize(
    ("given", "celerys"),
    [
        ("worker", "worker"),
        ("worker --name w2@%h --threads 4 -l debug", "worker -n w2@%h -c 4 -l debug"),
        ("worker --log-file w.log -- -E --help", "worker -f w.log -E --help"),
        ("beat --pidfile=/tmp/beat.pid -- -S x", "beat --pidfile /tmp/beat.pid -S x"),
        (
            "flower --address=0.0.0.0 --port=5556 --url-prefix usher --db=/data/flower -l info -- --max_tasks=5",
            "flower --address=0.0.0.0 --port=5556 --url_prefix=usher --db=/data/flower --logging=info --max_tasks=5",
        ),
        ("worker -- -- x", "worker -- x"),
    ],
)
def test_options_are_spelt_as_celery_wants_them(given: str, celerys: str, started: list[str]) -> None:
    """And what stands behind `--` is passed on as it is."""
    run(*given.split())
    assert started == celerys.split()


@pytest.mark.parametrize("arguments", [("worker", "-c", "contoso"), ("beat", "-S", "x"), ("flower", "--max_tasks=5")])
def test_an_option_of_celerys_is_not_taken_for_ours(
    arguments: tuple[str, ...], started: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`-c` is a connection everywhere else in usher: refused, with where to put it."""
    assert run(*arguments) == 2
    option = arguments[1].partition("=")[0]
    said = capsys.readouterr().err
    assert f"usher {arguments[0]} has no option {option}" in said
    assert f"usher {arguments[0]} -- {option}" in said
    assert started == []
