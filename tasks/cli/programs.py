"""The long-running programs: Celery's worker, beat and Flower with our application, the sandbox, and all of them as one stack.

The first four replace this process by the program itself, which so stays in the foreground, in the caller's process group.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from tasks.cli.errors import Refusal
from tasks.cli.session import Session

_PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
_ROOT = Path(__file__).resolve().parents[2]


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def worker(options: tuple[str, ...]) -> None:
    """Run a worker: `celery -A worker worker` with what is given here."""
    _run_celery("worker", options)


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def beat(options: tuple[str, ...]) -> None:
    """Run the scheduler: `celery -A worker beat` with what is given here."""
    _run_celery("beat", options)


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def flower(options: tuple[str, ...]) -> None:
    """Run Flower: `celery -A worker flower` with what is given here; on 127.0.0.1 and read-only unless told otherwise."""
    _run_celery("flower", options)


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def sandbox(options: tuple[str, ...]) -> None:
    """Run the sandbox: `python -m sandbox` with what is given here."""
    _replace_by("sandbox", *options)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_obj
def up(session: Session) -> int:
    """Keep the private stack running in the foreground: server, worker, beat and Flower. Ctrl-C ends it.

    While it runs, `usher invite --detach` leaves its job running.
    """
    from config import load_settings
    from tasks.cli.terminal import Terminal
    from worker.foreground import run_foreground
    from worker.logs import set_up_small
    from worker.private import Urls

    terminal = Terminal(session)
    settings = load_settings()
    if not settings.embedded:
        raise Refusal(
            "`usher up` runs a private server, but the configuration names a Redis: run usher worker, usher beat and usher flower instead."
        )
    set_up_small(settings.logs.form)

    def tell(urls: Urls) -> None:
        port = os.environ.get("FLOWER_PORT", "5555")
        terminal.say(f"usher is up: worker, beat and Flower (http://127.0.0.1:{port}) are starting. Ctrl-C ends them.")
        terminal.say(f"For other processes of this user: USHER_REDIS_URL={urls.redis_url}")

    return run_foreground(on_ready=tell)


def _run_celery(program: str, options: tuple[str, ...]) -> None:
    # Celery looks for the application in the current folder first.
    here = Path.cwd()
    if here != _ROOT and ((here / "worker.py").exists() or (here / "worker").is_dir()):
        raise Refusal(
            f"{here} has a `worker` of its own, which Celery would take for usher's: run this from another folder."
        )
    _replace_by("celery", "-A", "worker", program, *options)


def _replace_by(module: str, *arguments: str) -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606 - the same Python, arguments as given
