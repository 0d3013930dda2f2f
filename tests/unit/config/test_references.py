from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.errors import ConfigError, ReferenceError_
from config.references import MAX_BYTES, Reference


def _file(path: Path, content: bytes = b"s3cret\n") -> Reference:
    path.write_bytes(content)
    return Reference.parse(f"file:{path}", key="connections.contoso.client_secret")


@pytest.mark.parametrize("text", ["hunter2", "", "ENV:A", "vault:x", "file", "plain:text"])
def test_a_literal_is_refused_and_not_repeated(text: str) -> None:
    """What is no reference is refused with a reason that does not hold it."""
    with pytest.raises(ValueError, match=r"^must be env:NAME or file:/path; a literal in the file would be a leak$"):
        Reference.parse(text)


@pytest.mark.parametrize("text", ["env:", "env:A B", "env:1A", "env:a-b", "env:Ä", "file:", "file:/a\nb", "file:\0"])
def test_a_reference_to_nothing_possible_is_refused(text: str) -> None:
    """A name no variable can have and a path no file can have are found when settings are read."""
    with pytest.raises(ValueError, match=r"^must name"):
        Reference.parse(text)


def test_relative_files_start_at_the_base(tmp_path: Path) -> None:
    """A relative path is found beside the configuration, wherever the process runs."""
    assert Reference.parse("file:../a", base=tmp_path / "b").path == tmp_path / "a"
    assert Reference.parse("file:/x/y", base=tmp_path).path == Path("/x/y")
    assert Reference.parse("env:A").path is None


def test_references_are_equal_by_place() -> None:
    """The same place is the same reference under any key; the text is what it was written as."""
    one, two = Reference.parse("env:A", key="x"), Reference.parse("env:A", key="y")
    assert one == two
    assert hash(one) == hash(two)
    assert (one.text, str(one), repr(one)) == ("env:A", "env:A", "Reference('env:A')")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"s3cret\n\n", "s3cret\n"),
        (b" s3cret ", " s3cret "),
        (b"\xef\xbb\xbfs3cret", "s3cret"),
    ],
)
def test_one_trailing_newline_is_no_part_of_a_secret(tmp_path: Path, content: bytes, text: str) -> None:
    """Editors add a newline, and some a byte order mark; everything else is the secret's own."""
    assert _file(tmp_path / "s", content).resolve().reveal() == text


def test_a_variable_is_read_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable set after parsing counts, and so does a change."""
    reference = Reference.parse("env:USHER_TEST_SECRET", key="ledger.key")
    monkeypatch.delenv("USHER_TEST_SECRET", raising=False)
    with pytest.raises(ReferenceError_) as caught:
        reference.resolve()
    assert str(caught.value) == (
        "ledger.key refers to env:USHER_TEST_SECRET, which is not set in this process's environment."
    )
    monkeypatch.setenv("USHER_TEST_SECRET", "one\n")
    assert reference.resolve().reveal() == "one"
    assert reference.resolve_bytes() == b"one"
    assert reference.resolve({"USHER_TEST_SECRET": "two"}).reveal() == "two"
    with pytest.raises(ReferenceError_, match="which is empty"):
        reference.resolve({"USHER_TEST_SECRET": ""})


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\t"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file somebody is just writing is no empty secret."""
    reference = _file(tmp_path / "s", content)
    for resolve in (reference.resolve, reference.resolve_bytes):
        with pytest.raises(
            ReferenceError_, match=r"^connections\.contoso\.client_secret refers to file:.*, which is empty\.$"
        ):
            resolve()


def test_a_file_that_is_not_text_is_read_as_bytes_only(tmp_path: Path) -> None:
    """A PFX is bytes; as a text it is refused, and the fault does not carry its content along."""
    reference = _file(tmp_path / "s", b"\xff\xfe\x00secret")
    assert reference.resolve_bytes() == b"\xff\xfe\x00secret"
    with pytest.raises(ReferenceError_, match="not UTF-8") as caught:
        reference.resolve()
    assert caught.value.__context__ is None


def test_what_is_no_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Missing files, folders, pipes, devices and enormous files each get a sentence, at once."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"x" * (MAX_BYTES + 1))
    cases = {
        "missing": "does not exist",
        "folder": "is a directory",
        "pipe": "is not a regular file",
        "big": "is larger than 1 MiB and so is no secret",
        "folder/../folder/x" + "y" * 300: "cannot be read (File name too long)",
        "/dev/zero": "is not a regular file",
    }
    for name, reason in cases.items():
        with pytest.raises(ConfigError) as caught:
            Reference.parse(f"file:{name}", base=tmp_path, key="ledger.key").resolve()
        assert str(caught.value) == f"ledger.key refers to file:{name}, which {reason}."


def test_a_refused_permission_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of another user is named as such (root, who may run the tests, reads every file: so
    the refusal is staged).
    """

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("config.references.open_without_waiting", refuse)
    with pytest.raises(ReferenceError_, match="which this process may not read"):
        _file(tmp_path / "s").resolve()
