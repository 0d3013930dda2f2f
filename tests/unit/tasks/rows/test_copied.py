import json
from dataclasses import replace

from tasks.rows.copied import open_copy, options_again, read_copied
from tasks.rows.row import BadRow, ValidRow
from tests.unit.cli.follow.test_when_to_stop import VIEW
from worker.ledger.model import RESEND, Options, is_resent


def test_who_is_mailed_anew_is_a_fact_of_the_row() -> None:
    """Never of the new job; nor does it keep who mailed before."""
    resent = replace(VIEW, options=Options(resend=True, language="de-DE", deliver="smtp"))
    assert options_again(resent) == Options(language="de-DE")
    given = [{"email": "a@partner.example", RESEND: True}, {"email": "b@partner.example", "mail_status": "done"}]
    with open_copy() as file:
        file.write("".join(json.dumps(row) + "\n" for row in given))
        file.seek(0)
        rows = [row.row for row in read_copied(file)]  # type: ignore[union-attr]
    assert rows == [given[0], {"email": "b@partner.example", "stages_done": ["mail"]}]
    assert [is_resent(row, Options()) for row in rows] == [True, False]


def test_what_usher_had_put_into_a_row_stays_with_it() -> None:
    """Whom it means, by id, and where it goes on to; what a list had brought is checked anew."""
    guest = "11111111-1111-1111-1111-111111111111"
    given = [
        {"email": guest},
        {"email": "", "user_id": guest, "then": "restore", "why": "deleted by job abc", "restore_status": "failed"},
        {"email": "ann_partner.example#EXT#", "user_id": guest, "company": "Acme", "enable_status": "done"},
        {"email": "nobody", "company": "Acme"},
    ]
    with open_copy() as file:
        file.write("".join(json.dumps(row) + "\n" for row in given))
        file.seek(0)
        rows = list(read_copied(file))
    kept = [row.row for row in rows if isinstance(row, ValidRow)]
    assert kept == [
        given[0],
        {"email": "", "user_id": guest, "then": "restore", "why": "deleted by job abc"},
        {"email": given[2]["email"], "user_id": guest, "company": "Acme", "stages_done": ["enable"]},
    ]
    assert isinstance(rows[3], BadRow)
