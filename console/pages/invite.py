"""*Invite*: a list is dropped or chosen, shown as it was read, looked at, and sent.

Each step is a form and an address of its own, so that it works without JavaScript, can be gone back
to, and can be answered by another instance.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import IO, Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from config.connections import ALL, SANDBOX, TAG
from console.pages.asking import Given, clean_name, open_upload, read_reading
from console.pages.found import tell_bad
from console.pages.looking import Look, Stage, begin
from console.pages.page import Page, Submitting
from console.pages.wordings import N_
from console.problems import Problem
from console.v1.bodies import MOST_LIST
from tasks.errors import InputError
from tasks.jobs.submissions import is_accepted
from tasks.lists.ambiguities import Ambiguity
from tasks.lists.options import ListOptions
from tasks.lists.preview import Preview, read_preview
from worker.ledger.lists.submissions import is_submission
from worker.ledger.lists.uploads import BLOCK_BYTES, Upload, Uploads

router = APIRouter(include_in_schema=False)
_LONGEST_TEXT: Final = 1 << 20
_DEFAULT_FIELDS: Final = ("email", "display_name")


@router.get("/invite")
async def show_form(page: Submitting) -> Response:
    """Show where a list is dropped."""
    return _form(page)


@router.post("/invite")
async def take_list(page: Submitting, request: Request) -> Response:
    """Keep a list, and go on to how it is read."""
    async with request.form(max_files=1, max_fields=10, max_part_size=_LONGEST_TEXT) as form:
        sent, addresses = form.get("list"), str(form.get("addresses") or "").strip()
        uploads = _uploads(page)
        if isinstance(sent, UploadFile) and sent.filename:
            if (sent.size or 0) > MOST_LIST:
                said = page.say(_TOO_LARGE, size=page.forms.number(MOST_LIST >> 20))
                return _form(page, said, addresses, 413)
            kept = await uploads.put(page.owner, clean_name(sent.filename), _blocks_of(sent.file))
        elif addresses:
            text = "email\n" + "\n".join(_quote(line) for line in addresses.splitlines() if line.strip())
            kept = await uploads.put(page.owner, page.say(_ADDRESSES), _one(text.encode()))
        else:
            return _form(page, page.say(_NOTHING), status=422)
    return page.go(f"/invite/{kept.id}")


@router.get("/invite/{upload}")
async def show_list(page: Submitting, upload: str, request: Request) -> Response:
    """Show how a list is read, and ask what is to happen."""
    kept = await _find(page, upload)
    look = Look.read(kept.looked)
    if not request.query_params and look is not None:
        return await _show(page, kept, {"read": orjson.dumps(dict(look.reading)).decode()}, look.given)
    return await _show(page, kept, dict(request.query_params), look.given if look else Given())


@router.post("/invite/{upload}/look")
async def look_at_list(page: Submitting, upload: str, request: Request) -> Response:
    """Begin a dry run."""
    kept = await _find(page, upload)
    form = _texts(await request.form())
    given, options = Given.read(form), read_reading({"read": form.get("read", "")})
    if given.connection not in {value for _, choices in _choices(page) for value, _ in choices}:
        return await _show(page, kept, {"read": form.get("read", "")}, given, page.say(_WHICH))
    look = Look.read(kept.looked)
    if look is None or not look.is_at_it:
        await begin(page.parts, page.viewer, kept, given, options, sends=False)
    return page.go(f"/invite/{kept.id}/look")


@router.get("/invite/{upload}/look")
async def show_look(page: Submitting, upload: str) -> Response:
    """Show how far a look has come, and what it found."""
    kept = await _find(page, upload)
    look = Look.read(kept.looked)
    if look is None:
        return page.go(f"/invite/{kept.id}")
    if look.sends and look.job and (look.stage is Stage.SENT or await _was_sent(page, look.job)):
        to = f"/submissions/{look.job}" if is_submission(look.job) else f"/jobs/{look.job}"
        return Response(status_code=204, headers={"HX-Redirect": to}) if page.is_part else page.go(to)
    return page.show("look_now.html" if page.is_part else "look.html", upload=kept, look=look, refused="")


@router.post("/invite/{upload}/send")
async def send_list(page: Submitting, upload: str, request: Request) -> Response:
    """Send a list that was looked at, as it was looked at."""
    kept = await _find(page, upload)
    form = _texts(await request.form())
    look = Look.read(kept.looked)
    if look is None or not (look.found or look.sends):
        return page.go(f"/invite/{kept.id}")
    to_type = look.found.get("to_type")
    if to_type and form.get("name", "").strip() != to_type:
        said = page.say(_WRONG_NUMBER if look.found.get("tenants") else _WRONG_NAME, name=to_type)
        return page.show("look.html", 422, upload=kept, look=look, refused=said)
    if not look.is_at_it:
        reading = ListOptions.from_dict(look.reading)
        await begin(page.parts, page.viewer, kept, look.given, reading, sends=True)
    return page.go(f"/invite/{kept.id}/look")


async def _was_sent(page: Page, job: str) -> bool:
    if is_submission(job):
        return await is_accepted(page.services, job)
    view = await page.services.jobs.view(job)
    return view is not None and view.is_accepted


def _form(page: Page, refused: str = "", addresses: str = "", status: int = 200) -> Response:
    return page.show("invite.html", status, refused=refused, addresses=addresses, most_mb=MOST_LIST >> 20)


async def _show(
    page: Page, kept: Upload, said: dict[str, str], given: Given, refused: str = "", status: int = 200
) -> Response:
    options, preview, ambiguity = ListOptions(), None, None
    try:
        options = read_reading(said)
        file = await _uploads(page).open(kept)
        preview = await asyncio.to_thread(_preview, file, kept.name, options)
    except Ambiguity as open_question:
        ambiguity = open_question if open_question.choices else None
        refused = refused or ("" if ambiguity else str(open_question))
    except InputError as error:
        refused = refused or str(error)
    return page.show(
        "list.html",
        status if not refused else 422,
        upload=kept,
        preview=preview,
        ambiguity=ambiguity,
        refused=refused,
        fields=_fields(preview),
        bad=tell_bad(preview.bad) if preview else [],
        headings=[(text, text) for text in preview.headings if text] if preview else [],
        email_column=options.mapping.get("email", ""),
        said=options,
        kept_reading=_kept(options),
        reading=orjson.dumps(options.to_dict()).decode(),
        connections=_choices(page),
        given=given,
        more_given=given.names_more,
    )


def _kept(options: ListOptions) -> str:
    """Return what was said of a list for which its page has no field, '' for nothing."""
    mapping = {field: heading for field, heading in options.mapping.items() if field != "email"}
    said = {name: value for name, value in (("mapping", mapping), ("hidden", options.hidden)) if value}
    return orjson.dumps(said).decode() if said else ""


def _preview(file: IO[bytes], name: str, options: ListOptions) -> Preview:
    with open_upload(file, name, options) as guests:
        return read_preview(guests)


def _fields(preview: Preview | None) -> list[str]:
    """Return the fields that the first rows have, those first that everybody knows."""
    if preview is None:
        return []
    found = {name for row in preview.first for name in row.row if not name.startswith("_")}
    named = dict.fromkeys(field for field, _ in preview.columns)
    return [name for name in dict.fromkeys([*_DEFAULT_FIELDS, *named, *sorted(found)]) if name in found]


def _choices(page: Page) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what may be chosen, in groups: each connection; those of a tag; all."""
    settings = page.services.settings()
    names = list(settings.connection_names) or [SANDBOX]
    one = [(name, name) for name in names]
    if len(settings.connections) < 2:
        return [("", one)]
    tags = Counter(tag for connection in settings.connections.values() for tag in set(connection.tags))
    said = [(f"{TAG}{tag}", page.say(_OF_TAG, tag=tag, count=count)) for tag, count in sorted(tags.items())]
    said.append((ALL, page.say(_OF_ALL, count=len(settings.connections))))
    return [(page.say(_ONE), one), (page.say(_SEVERAL), said)]


def _uploads(page: Page) -> Uploads:
    return Uploads(page.services.client, page.services.keys, page.services.sealer)


async def _find(page: Page, upload: str) -> Upload:
    kept = await _uploads(page).find(page.owner, upload)
    if kept is None:
        raise Problem(404, page.say(_GONE))
    return kept


async def _blocks_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
        yield block


async def _one(block: bytes) -> AsyncIterator[bytes]:
    yield block


def _quote(line: str) -> str:
    return '"' + line.strip().replace('"', '""') + '"'


def _texts(form: FormData) -> dict[str, Any]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


_NOTHING: Final = N_("Choose a file, or write an address.")
_TOO_LARGE: Final = N_(
    "The file is larger than %(size)s MB, so it was not taken. Split it, or send it with the command."
)
_ADDRESSES: Final = N_("addresses")
_WHICH: Final = N_("Choose the connection that the guests are invited through.")
_WRONG_NAME: Final = N_("So many are sent only when you type the connection's name: %(name)s.")
_WRONG_NUMBER: Final = N_("So many are sent only when you type the number of connections: %(name)s.")
_ONE: Final = N_("One connection")
_SEVERAL: Final = N_("Several connections")
_OF_TAG: Final = N_("all with the tag %(tag)s (%(count)s)")
_OF_ALL: Final = N_("all connections (%(count)s)")
_GONE: Final = N_("This list is not kept any more: an hour at most, and only until it is sent. Give it again.")
