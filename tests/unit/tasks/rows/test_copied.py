import json
from dataclasses import replace

from tasks.rows.copied import open_copy, options_again, read_copied
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
