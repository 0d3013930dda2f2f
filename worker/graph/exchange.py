"""An exchange is what one call came to: what its last reply says to each request it carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.graph.batch import NOTE_WHOLE_BATCH, Fate, GraphAnswer, GraphRequest, answer_all, pair_answers
from worker.graph.reply import Reply
from worker.graph.retry import parse_http_date


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call, its repetitions included: one answer per request id, and what is known of the call
    as a whole.

    `status` is the envelope's (0 when none came), `client_request_id` that of the last try,
    `server_date` Graph's clock by its `Date`.
    """

    answers: dict[str, GraphAnswer]
    client_request_id: str
    server_date: datetime | None
    elapsed_s: float
    status: int
    tries: int = 1


def deal_out(requests: Sequence[GraphRequest], reply: Reply) -> dict[str, GraphAnswer]:
    """Return what the reply to a batch says to each of its requests, by their ids. A refused
    envelope gives every request its status, with the note `NOTE_WHOLE_BATCH`.
    """
    if reply.fate is Fate.ANSWERED and 200 <= reply.status < 300:
        # What only the envelope says: Graph's clock, and the id that support asks for
        lent = {name: reply.headers[name] for name in ("date", "request-id") if name in reply.headers}
        return pair_answers(requests, reply.body, lent)
    answer = reply.as_answer()
    if reply.fate is Fate.ANSWERED and len(requests) > 1:
        answer = replace(answer, note=NOTE_WHOLE_BATCH)
    return answer_all(requests, answer)


def as_exchange(answers: dict[str, GraphAnswer], reply: Reply, tries: int, elapsed_s: float) -> Exchange:
    """Return the answers with what their last reply says of the call as a whole."""
    server_date = parse_http_date(reply.headers.get("date", ""))
    return Exchange(answers, reply.client_request_id, server_date, elapsed_s, reply.status, tries)
