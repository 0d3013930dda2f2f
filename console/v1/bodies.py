"""A body is read as it comes, into a file without a name: a list of 100 MB takes no memory.

What is too large is refused before it is read where its length is told, else as soon as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import orjson
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from console.problems import Problem

MOST_LIST: Final = 256 << 20
"""Bytes of one list: some 2,000,000 rows of 100 bytes."""
MOST_JSON: Final = 10 << 20
"""Bytes of rows in JSON, which are held in memory to be read; longer lists come as files."""
_MOST_FIELD: Final = 64 << 10
_MOST_FIELDS: Final = 500
_IN_MEMORY: Final = 1 << 20


@contextmanager
def open_file() -> Iterator[IO[bytes]]:
    """Open a file without a name, which goes with the block; a small one stays in memory."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        yield file


def kind_of(request: Request) -> str:
    """Return the media type of what was sent, '' where it is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request) -> dict[str, Any]:
    """Return an object that was sent as JSON. Raises `Problem`."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MOST_JSON:
            raise Problem(
                413,
                f"More than {MOST_JSON >> 20} MB of JSON are not taken: send a longer list as a file"
                " (multipart/form-data, or text/csv or application/x-ndjson with its options in the query)."
                " Nothing was accepted.",
            )
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(400, "The body is not valid JSON; nothing was accepted.") from None
    if not isinstance(found, dict):
        raise Problem(422, "The body must be an object; nothing was accepted.")
    return found


async def read_stream(request: Request, file: IO[bytes]) -> None:
    """Read a list that is the whole body. Raises `Problem`."""
    size = 0
    async for block in request.stream():
        size += len(block)
        if size > MOST_LIST:
            raise too_large()
        file.write(block)
    file.seek(0)


async def read_form(request: Request) -> FormData:
    """Return a form, its files in files without names. Raises `Problem`; it is to be closed."""
    try:
        return await request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_MOST_FIELD)
    except (MultiPartException, MultipartParseError, AssertionError, UnicodeDecodeError):
        raise Problem(
            400,
            "The form cannot be read: it breaks the rules of multipart/form-data (one file, and fields"
            f" of at most {_MOST_FIELD >> 10} kB). Nothing was accepted.",
        ) from None


def find_upload(form: FormData) -> UploadFile:
    """Return the list of a form: its one file. Raises `Problem`."""
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            return value
    raise Problem(422, "The form has no file: the list belongs into the field `list`. Nothing was accepted.")


def gather(pairs: Mapping[str, Any] | list[tuple[str, Any]], several: frozenset[str]) -> dict[str, Any]:
    """Return fields by name; those of `several` as lists. Raises `Problem` for another twice."""
    found: dict[str, Any] = {}
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        if isinstance(value, UploadFile):
            continue
        if name in several:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem(422, f"The field {name[:64]!r} was given twice; nothing was accepted.")
        elif value != "":
            found[name] = value
    return found


def too_large() -> Problem:
    """Return what is answered to a list that is too large."""
    return Problem(
        413, f"The list has more than {MOST_LIST >> 20} MB, which is more than is taken at once; nothing was accepted."
    )
