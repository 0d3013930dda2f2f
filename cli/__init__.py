"""The command `usher`: which commands there are, and what becomes of an error. Nothing heavy is
imported before a command needs it.

Errors of all kinds end here, as sentences on stderr with an exit status, never as a traceback
(`errors`).
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

from cli.ui.plain_signs import use_plain_signs
from cli.ui.session import Session

COMMANDS = {
    "invite": ("invite.command", "Invite a list of people, or single addresses, as guests."),
    "jobs": ("jobs.commands", "List jobs, follow them, fetch results, approve, pause, resume, cancel, retry, delete."),
    "guests": (
        "guests.commands",
        "List the guests of a tenant, show, remind, reset them; list all that is held about a person, or forget it.",
    ),
    "users": ("users.commands", "List the users of a tenant, members too, show one, or create a member."),
    "secrets": ("secrets", "When the secrets and certificates of a tenant's applications end."),
    "mail": ("mail", "Show what usher's own mails say, or send one to try."),
    "audit": ("audit", "Show or export who did what."),
    "connections": (
        "connections.commands",
        "Add connections, get them consented to, check them, hold them, reopen them.",
    ),
    "producers": ("producers.commands", "The programs that submit jobs, each with a token: add, list, revoke, waive."),
    "schedules": ("schedules.commands", "What usher does by itself: list, add, remove, enable, disable, run at once."),
    "doctor": ("doctor", "Look whether everything is as it should be, and say what to do where it is not."),
    "key": ("key", "Make a key for the ledger."),
    "worker": ("programs", "Run a worker."),
    "beat": ("programs", "Run the scheduler."),
    "flower": ("programs", "Run Flower, the view on workers and tasks (read-only)."),
    "serve": ("serve", "Serve the console, for browsers, and the HTTP API, for programs."),
    "metrics": ("metrics", "Serve Prometheus metrics of the whole installation."),
    "sandbox": ("programs", "Run a local stand-in for Entra and Graph, to rehearse against."),
    "up": ("programs", "Keep the private stack running: server, worker, beat, Flower."),
}
"""Command → the module below this package that holds it, and its line in `usher --help`, which
loads none of them.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from config.errors import did_you_mean

            ctx.fail(f"There is no command {args[0][:40]!r}{did_you_mean(args[0], COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except BrokenPipeError:  # of a help text
            sys.exit(0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with 1, which says that rows failed
            return 3 if ctx.obj.accepted else 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from config.version import read_version

        click.echo(f"usher {read_version()}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def usher() -> None:
    """Turn a list of people into guests of Microsoft Entra tenants.

    Each exactly once, as fast as the tenant's quota allows.

    \b
      usher invite guests.csv -c sandbox          rehearse: nobody gets mail
      usher invite guests.csv -c contoso --dry-run
      usher jobs list

    Exit status: 0 every row ended well, 1 some failed or stayed in doubt, 2 nothing was sent, 3
    held, paused or left running.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run `usher` and end the process with its status."""
    _replace_closed()
    use_plain_signs()
    given = sys.argv[1:] if arguments is None else arguments
    session = Session(wants_json="--json" in given)
    try:
        status = usher.main(args=given, prog_name="usher", standalone_mode=False, obj=session)
    except BaseException as error:  # noqa: BLE001 - the last stop: every error leaves as a sentence and a status
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C while the first is told about
        from cli.ui.errors import end

        status = end(error, session)
    status = status if isinstance(status, int) else 0
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and status in (0, 1):  # else it was told already, or nothing was sent
            from cli.ui.errors import end

            status = end(error, session) or status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _replace_closed() -> None:
    """Open what was closed before the start (`>&-`): Python has nothing to write to then, and the
    next file would get its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            # The stream stays open for as long as this process runs
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
