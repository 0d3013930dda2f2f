from __future__ import annotations

from pathlib import Path

from config.reader import parse_schedule
from tests.configs import AFTER_A_TABLE, CONTOSO, faults_of, load


def test_schedules_are_read_with_their_arguments(tmp_path: Path) -> None:
    """Paths start at the file, lengths of time are seconds, the time zone is one for all; a
    variable may set any of it.
    """
    settings = load(
        tmp_path,
        f"""
        timezone = "Europe/Berlin"
        {CONTOSO}
        [schedules.nightly-partners]
        task = "invite_file"
        connection = "contoso"
        cron = "0 2 * * MON-fri"
        args = {{ path = "partners.csv", send_message = "no" }}
        [schedules.far]
        task = "invite_file"
        connection = "sandbox"
        every = "6h"
        args = {{ url = "env:LIST_URL" }}
        [schedules.check]
        task = "check_connections"
        every = 90
        """,
        {"USHER_SCHEDULES__NIGHTLY_PARTNERS__ENABLED": "no"},
    )
    nightly, far, check = (settings.schedules[name] for name in ("nightly-partners", "far", "check"))
    assert settings.timezone == "Europe/Berlin"
    assert nightly.args == {"path": str(tmp_path / "partners.csv"), "send_message": False}
    assert (nightly.when, nightly.enabled) == ("0 2 * * mon-fri", False)
    assert (far.when, far.args) == ("every 6h", {"url": "env:LIST_URL"})
    assert (check.connection, check.when) == (None, "every 90s")
    for schedule in settings.schedules.values():
        assert parse_schedule(schedule.name, schedule.table, settings.connections) == schedule


def test_every_fault_of_a_schedule_is_told_with_its_field(tmp_path: Path) -> None:
    """Unknown task, connection or argument, a time that is none: refused when read, all at once, no
    value repeated.
    """
    assert faults_of(
        tmp_path,
        f"""
        timezone = "Europe/Atlantis"
        {CONTOSO}
        [schedules]
        timezone = "UTC"
        one = 3
        [schedules.a]
        task = "invite_fil"
        connection = "contoso"
        cron = "0 25 * * *"
        [schedules.b]
        task = "invite_file"
        connection = "contosso"
        cron = "0 2 * * *"
        every = "6h"
        args = {{ pth = "hunter2", path = "ftp://hunter2", send_message = 3 }}
        [schedules.c]
        task = "retry_failed"
        args = {{ times = 0 }}
        [schedules.d]
        task = "invite_file"
        connection = "contoso"
        every = "0.5s"
        arg = 1
        [schedules.Bad]
        task = "check_connections"
        every = "1d"
        args = []
        [schedules.e]
        task = "invite_file"
        connection = "contoso"
        every = "1d"
        args = {{ path = "a.csv", url = "https://hunter2@example.com/" }}
        """,
    ) == [
        f"usher.toml: schedules.timezone {AFTER_A_TABLE}",
        "usher.toml: schedules.one must be a table: what is done and when stands under [schedules.NAME].",
        (
            "usher.toml: schedules.a.task must be one of invite_file, sync_file, check_connections, expiring_secrets,"
            " clean_guests, remind_pending, remind_sponsors, retry_failed (did you mean invite_file?)."
        ),
        "usher.toml: schedules.a.cron has a field that cannot be read, or a day that never comes: hour.",
        "usher.toml: schedules.b must have cron or every, not both.",
        "usher.toml: schedules.b.connection names no connection that is configured (did you mean contoso?).",
        "usher.toml: schedules.b.args.pth is not an argument of invite_file (did you mean path?).",
        "usher.toml: schedules.b.args.path must be an absolute https:// URL with a host.",
        "usher.toml: schedules.b.args.send_message must be true or false.",
        "usher.toml: schedules.c must have cron or every.",
        "usher.toml: schedules.c.connection is missing.",
        "usher.toml: schedules.c.args.times must be a whole number of at least 1.",
        "usher.toml: schedules.d.arg is not a setting usher knows (did you mean args?).",
        "usher.toml: schedules.d.every must be at least a second.",
        "usher.toml: schedules.d.args.path is missing.",
        "usher.toml: schedules.Bad must be a name of a-z, 0-9 and - (64 characters at most).",
        "usher.toml: schedules.Bad.args must be a table of the task's arguments.",
        "usher.toml: schedules.e.args.url must be an https:// URL without user name and password.",
        "usher.toml: schedules.e.args must have path or url, not both.",
        "usher.toml: timezone must be the name of a time zone, such as Europe/Berlin or UTC.",
    ]


def test_a_schedule_may_be_over_several_connections(tmp_path: Path) -> None:
    """Names, tags and all; spread over less than the time between two of its runs."""
    settings = load(
        tmp_path,
        f"""
        {CONTOSO}
        [schedules.tagged]
        task = "clean_guests"
        connection = "tag:nobody-has-it, contoso"
        cron = "0 2 * * *"
        spread = "2h"
        [schedules.single]
        task = "clean_guests"
        connection = "contoso"
        every = "1d"
        """,
    )
    tagged, single = settings.schedules["tagged"], settings.schedules["single"]
    assert (tagged.several, tagged.spread, tagged.when) == (True, 7200, "0 2 * * *, spread over 2h")
    assert (single.several, single.spread) == (False, None)
    assert parse_schedule("tagged", tagged.table, ["contoso"]) == tagged


def test_what_cannot_be_spread_is_told_by_name(tmp_path: Path) -> None:
    """As long as the time between two runs, or of a single connection; a name that is none."""

    def table(name: str, connection: str, when: str, spread: str) -> str:
        where = f"connection = {connection!r}" if connection else ""
        return f"[schedules.{name}]\ntask = 'check_connections'\n{where}\n{when}\nspread = {spread!r}\n"

    tables = [
        table("a", "all", "every = '2h'", "2h"),
        table("b", "all", "cron = '0 2,3 * * *'", "90m"),
        table("c", "contoso", "every = '2h'", "1h"),
        table("d", "", "every = '2h'", "1h"),
        table("e", "contosso,tag:eu", "every = '2h'", "1h"),
        table("f", "all", "cron = '0 2 1,15 * mon'", "1d"),
        table("g", "all", "every = '2h'", "soon"),
    ]
    shorter, several = "must be shorter than the time between two runs, which may be", "is for a schedule of several"
    told = faults_of(tmp_path, CONTOSO + "\n" + "".join(tables))
    assert told[:6] == [
        f"usher.toml: schedules.a.spread {shorter} 2h.",
        f"usher.toml: schedules.b.spread {shorter} 1h.",
        f"usher.toml: schedules.c.spread {several} connections (A,B, tag:TAG or all).",
        f"usher.toml: schedules.d.spread {several} connections (A,B, tag:TAG or all).",
        "usher.toml: schedules.e.connection names no connection that is configured (did you mean contoso?).",
        f"usher.toml: schedules.f.spread {shorter} 1d.",
    ]
    assert told[6].startswith("usher.toml: schedules.g.spread ")
