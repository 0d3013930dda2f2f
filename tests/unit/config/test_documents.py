"""The example and the reference page name exactly the settings there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config.reader import load_settings
from config.schedules import TASKS
from config.sections import NAMED, all_sections, keys_of
from config.sources import environment_form
from config.values import Limit, Reserve, parse_seconds

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "examples" / "usher.toml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SCHEDULES = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
_SETTING = re.compile(r"#?([a-z_]+) = ")
_ROW = re.compile(r"\| `([a-zA-Z_.]+)` \| `(USHER_[A-Z_]+)` \| (.+?) \| (.+) \|")


def _setting_keys() -> dict[str, object]:
    """Return every dotted key and its default."""
    return {
        f"{prefix}.{key}": None if (info := model.model_fields[name]).is_required() else info.default
        for prefix, model in all_sections()
        for key, name in keys_of(model).items()
    }


def _rows() -> dict[str, tuple[str, str]]:
    return {match[1]: (match[2], match[3].strip("`")) for match in map(_ROW.fullmatch, PAGE.splitlines()) if match}


def _example_keys() -> set[str]:
    section, keys = "", set()
    for line in EXAMPLE.splitlines():
        if line.startswith("["):
            section = re.sub(r"^(apps|connections|schedules|producers)\.[^.]*", r"\1.NAME", line.strip("[]"))
        elif match := _SETTING.match(line):
            keys.add(f"{section}.{match[1]}")
    return keys


def test_the_page_names_every_setting_and_no_other() -> None:
    """Every field of the models has its row, and every row its field."""
    assert set(_rows()) == set(_setting_keys())


def test_the_page_names_the_environment_forms() -> None:
    """Each row's variable is the one that is read."""
    for key, (variable, _) in _rows().items():
        assert variable == environment_form(key.split("."))


@pytest.mark.parametrize(("key", "default"), sorted(_setting_keys().items()))
def test_the_page_names_the_defaults(key: str, default: object) -> None:
    """Each row's default is the model's."""
    shown = _rows()[key][1]
    if isinstance(default, bool):
        assert shown == str(default).lower()
    elif isinstance(default, float):
        assert parse_seconds(shown) == default
    elif default in (None, (), "", {}):
        table, _, name = key.rpartition(".")
        model = NAMED.get(table.removesuffix(".NAME"))
        required = model is not None and model.model_fields[name].is_required()
        assert shown in (("required",) if required else ("none", "empty", "the cloud's"))
    else:
        assert shown == (", ".join(default) if isinstance(default, tuple) else str(default))


def test_the_example_names_every_setting_and_no_other() -> None:
    """Whoever copies the example has seen everything there is."""
    assert _example_keys() == set(_setting_keys())


def test_the_example_loads() -> None:
    """As it stands it is a sound configuration whose quotas are the defaults."""
    settings = load_settings({}, ROOT / "examples" / "usher.toml")
    assert sorted(settings.connections) == ["adatum", "bellows", "contoso", "fabrikam", "northwind"]
    assert settings.embedded
    assert all(isinstance(limit, Limit | Reserve) for limit in dict(settings.quota).values())
    defaults = {key: value for key, value in _setting_keys().items() if key.startswith(("quota.", "ledger.", "graph."))}
    for key, default in defaults.items():
        section, name = key.split(".")
        assert (
            getattr(getattr(settings, section), f"{name}_s" if name in ("keep", "audit_keep", "remember") else name)
            == default
        )


@pytest.mark.parametrize(
    "line", [line for line in EXAMPLE.splitlines() if line.startswith("#") and _SETTING.match(line)]
)
def test_each_line_of_the_example_that_is_commented_out_would_load(line: str, tmp_path: Path) -> None:
    """Taking the # away is all it needs (a broker of its own needs a Redis, too; a secret stands
    instead of a certificate).
    """
    text = EXAMPLE.replace(line, line.removeprefix("#"))
    if "console_secret" in line or line.startswith("#client_assertion"):
        text = re.sub(r"^certificate.*/run/secrets/console.*\n", "", text, flags=re.MULTILINE)
    assert tomllib.loads(text)
    path = tmp_path / "usher.toml"
    path.write_text(text, encoding="utf-8")
    assert load_settings({"USHER_REDIS__URL": "redis://h"} if "amqp" in line else {}, path).source == path


def test_the_page_of_schedules_names_every_task_and_argument() -> None:
    """docs/schedules.md has a section a task, and in it each argument."""
    sections = {part.split("`")[1]: part for part in SCHEDULES.split("\n## ") if part.startswith("`")}
    assert sorted(sections) == sorted(TASKS)
    for task, kind in TASKS.items():
        assert set(re.findall(r"^\| `(\w+)` \|", sections[task], re.MULTILINE)) == set(kind.args)


def test_the_page_links_to_what_exists_in_the_examples() -> None:
    """The example that the page names is there."""
    assert "(../examples/usher.toml)" in PAGE


def test_the_year_of_a_tenant_is_configured_as_its_page_says(tmp_path: Path) -> None:
    """The tables of docs/guest-lifecycle.md together are a configuration, and the policy that it
    tells of.
    """
    page = (ROOT / "docs/guest-lifecycle.md").read_text(encoding="utf-8")
    tables = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    own = '[connections.contoso]\ntenant_id = "contoso.example"\nclient_id = "c"\nclient_secret = "env:S"\n'
    path = tmp_path / "usher.toml"
    path.write_text("\n".join([own, *tables]), encoding="utf-8")
    settings = load_settings({}, path)
    clean = settings.connection("contoso").clean
    assert (clean.remind_times, clean.disable_inactive_after_s, clean.most_disabled) == (2, 90 * 86_400, 100)
    assert {name: schedule.task for name, schedule in settings.schedules.items()} == {
        "partners": "sync_file",
        "reminders": "remind_pending",
        "cleaning": "clean_guests",
        "secrets": "expiring_secrets",
    }
    assert settings.schedules["secrets"].args["confirm"] is True
