"""The long-running programs: Celery's worker, beat and Flower with our application, the sandbox,
and all of them as one stack.

The first four replace this process by the program itself, which so stays in the foreground, in the
caller's process group. Worker, beat and Flower have a few options of usher's own, and a help that
says what they do; whatever stands behind `--` goes to Celery as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.ui.session import Session
from tasks.errors import Refusal

_F = TypeVar("_F", bound=Callable[..., Any])
_PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
_ROOT = Path(__file__).resolve().parents[1]
_LEVELS = click.Choice(("debug", "info", "warning", "error", "critical"), case_sensitive=False)


class PassThrough(click.Command):
    """A command that hands on what stands behind `--`, as `passed_on`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Part the arguments at the first `--`. An option that usher has not may be Celery's."""
        at = args.index("--") if "--" in args else len(args)
        own, ctx.params["passed_on"] = args[:at], tuple(args[at + 1 :])
        try:
            return super().parse_args(ctx, own)
        except click.NoSuchOption as error:
            raise click.UsageError(
                f"usher {self.name} has no option {error.option_name}. Celery's own options stand behind --, "
                f"as in: usher {self.name} -- {error.option_name} …",
                ctx,
            ) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show where Celery's options stand."""
        return [*super().collect_usage_pieces(ctx), "[-- CELERY'S OPTIONS]"]


def _log_options(command: _F) -> _F:
    for option in (
        click.option(
            "--log-file",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Write the log to this file, which may be moved away at any time, instead of standard error.",
        ),
        click.option("-l", "--log-level", type=_LEVELS, help="Else: what [logs] of the configuration says, info."),
    ):
        command = option(command)
    return command


@click.command(cls=PassThrough)
@click.option("--name", metavar="NAME", help="What it is called, with %h for the host's name. Else: celery@%h.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Most chunks and messages that it works on at once. Else: 256, as many as one process can use.",
)
@_log_options
def worker(
    name: str | None, threads: int | None, log_level: str | None, log_file: str | None, passed_on: tuple[str, ...]
) -> None:
    """Run a worker in the foreground: it sends what is due and answers producers. SIGTERM and
    Ctrl-C end it in order.

    Any number may run, on any number of hosts. Without a Redis in the configuration it joins the
    private stack of this account.

    It is Celery's worker with usher's application (celery -A worker worker). Celery's help: usher
    worker -- --help
    """
    given = {"-n": name, "-c": threads, "-l": log_level, "-f": log_file}
    _run_celery("worker", (*_spell(given), *passed_on))


@click.command(cls=PassThrough)
@click.option(
    "--pidfile", type=click.Path(dir_okay=False), metavar="FILE", help="Write the process's number to this file."
)
@_log_options
def beat(pidfile: str | None, log_level: str | None, log_file: str | None, passed_on: tuple[str, ...]) -> None:
    """Run the scheduler in the foreground: it fires the schedules of the configuration. SIGTERM and
    Ctrl-C end it.

    One is needed where there are schedules; a second one waits as a spare. It ends when it loses
    Redis for long, so let something start it again.

    It is Celery's beat with usher's scheduler (celery -A worker beat). Celery's help: usher beat --
    --help
    """
    given = {"--pidfile": pidfile, "-l": log_level, "-f": log_file}
    _run_celery("beat", (*_spell(given), *passed_on))


@click.command(cls=PassThrough)
@click.option(
    "--address", metavar="ADDRESS", help="Where it listens: 127.0.0.1 unless told. Anywhere else it wants a login."
)
@click.option("--port", type=click.IntRange(0, 65_535), metavar="N", help="Its port: 5555 unless told.")
@click.option("--url-prefix", metavar="PATH", help="The path that a proxy has for it.")
@click.option("--db", type=click.Path(dir_okay=False), metavar="FILE", help="Where it keeps tasks over a restart.")
@click.option("-l", "--log-level", type=_LEVELS, help="Else: what [logs] of the configuration says, info.")
def flower(
    address: str | None,
    port: int | None,
    url_prefix: str | None,
    db: str | None,
    log_level: str | None,
    passed_on: tuple[str, ...],
) -> None:
    """Run Flower in the foreground: pages about workers and tasks, which show no person and change
    nothing. Ctrl-C ends it.

    Its login is the variable FLOWER_BASIC_AUTH=NAME:PASSWORD.

    It is Celery's Flower with usher's defaults (celery -A worker flower). Its own help: usher
    flower -- --help
    """
    level = "error" if log_level == "critical" else log_level
    given = {"--address": address, "--port": port, "--url_prefix": url_prefix, "--db": db, "--logging": level}
    _run_celery("flower", (*(f"{name}={value}" for name, value in given.items() if value is not None), *passed_on))


def _spell(given: dict[str, Any]) -> list[str]:
    """Return options as Celery wants them."""
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


@click.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def sandbox(options: tuple[str, ...]) -> None:
    """Run the sandbox: `python -m sandbox` with what is given here."""
    _replace_by("sandbox", *options)


@click.command()
@click.option("--console", is_flag=True, help="Serve the console too (usher serve), and open it in a browser.")
@click.pass_obj
def up(session: Session, console: bool) -> int:
    """Keep the private stack running in the foreground: server, worker, beat and Flower. Ctrl-C
    ends it.

    While it runs, `usher invite --detach` leaves its job running.
    """
    from cli.serve import refuse_without_extra
    from cli.uptime import run_up

    if console:
        refuse_without_extra()
    return run_up(session, console=console)


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
    # The program is the same Python, and the arguments go on as they were given
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
