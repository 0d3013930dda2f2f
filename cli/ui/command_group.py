"""A group's help shows each command's first sentences in full, not cut off at 45 letters."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """`usher jobs` and the like."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_words(self.commands[name])) for name in self.list_commands(ctx)])


def _first_words(command: click.Command) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())
