"""What is given to Flower: what it cannot use is a sentence, before Flower sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flower.options import options as flowers

from worker.page_options import NotStarted, check


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--port=abc", 'is a whole number and not negative, not "abc"'),
        ("--port=-1", 'not "-1"'),
        ("--port=99999", 'is 65535 at most, not "99999"'),
        ("--port", "needs a value, written --port=VALUE"),
        ("--inspect-timeout=x", "is a number and not negative"),
        ("--basic-auht=a:b", 'has no option "--basic-auht" (did you mean basic_auth?)'),
        ("foo", 'has no option "foo"'),
        ("--read_only=no", 'is true or false, not "no"'),
        ("--logging=nope", "is one of debug, info, warning, error, none"),
        ("--auth=*@*", "is a pattern of addresses"),
        ("--broker_api=me:secret@host", "is an address that begins with http://"),
        ("--format_task=x", "is a function"),
        ("--conf=/nope/flower.py", "which cannot be read (no such file or directory)"),
        ("--certfile=/nope/cert.pem", "which cannot be read"),
        ("--certfile=/dev/null", "only --certfile was given"),
        ("--unix_socket=/nope/flower.sock", "/nope is no folder to write to"),
    ],
)
def test_what_flower_cannot_use_is_a_sentence(argument: str, said: str) -> None:
    """It says what is wrong, and repeats no password."""
    with pytest.raises(NotStarted) as refused:
        check(flowers, [argument], {})
    assert said in str(refused.value)
    assert str(refused.value).endswith("whoever starts it corrects it.")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "text", "good"),
    [
        ("FLOWER_PORT", "abc", False),
        ("FLOWER_READ_ONLY", "maybe", False),
        ("FLOWER_READ_ONLY", "off", True),
        ("FLOWER_PORT", "0", True),
        ("FLOWER_UNAUTHENTICATED_API", "anything", True),
        ("FLOWER_OF_MINE", "anything", True),
    ],
)
def test_variables_are_looked_at_too(variable: str, text: str, good: bool) -> None:
    """Those that Flower reads; there `off` does mean no."""
    if good:
        check(flowers, [], {variable: text})
        return
    with pytest.raises(NotStarted, match=f'Flower\'s {variable} is .*, not "{text}"'):
        check(flowers, [], {variable: text})


def test_what_flower_can_use_passes(tmp_path: Path) -> None:
    """In either spelling, with values of every type."""
    conf = tmp_path / "flower.py"
    conf.write_text("port = 5556\n", encoding="utf-8")
    check(
        flowers,
        [
            "--port=5556",
            "--basic-auth=ann:x,bob:y",
            "--url_prefix=usher",
            "--read_only",
            "--auto-refresh=False",
            "--task_runtime_metric_buckets=1,2.5,inf",
            f"--conf={conf}",
            f"--db={tmp_path}/flower",
            "--logging=none",
        ],
        {},
    )


def test_a_configuration_that_is_no_python_is_a_sentence(tmp_path: Path) -> None:
    """It is read, not run."""
    conf = tmp_path / "flower.py"
    conf.write_text("port = \n", encoding="utf-8")
    with pytest.raises(NotStarted, match="which is no Python"):
        check(flowers, [f"--conf={conf}"], {})
