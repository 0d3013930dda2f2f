from __future__ import annotations

import pytest

from worker.signin.aadsts import SigninKind, explain_signin

CONFIGURATION = [
    7000215, 7000222, 700016, 90002, 90038, 900382, 900432, 7000112, 70001, 700027, 700030, 7000218, 50194, 9001023,
    53003, 530032, 70011, 650057, 650056, 50196,
]  # fmt: skip
TRANSIENT = [90055, 90006, 90024, 90033, 90090, 90012]


@pytest.mark.parametrize("code", CONFIGURATION)
def test_codes_that_need_a_person(code: int) -> None:
    """Every code that an administrator must answer says so, with the connection's own names in
    it.
    """
    trouble = explain_signin(400, {"error": "x", "error_codes": [code]}, tenant="t-1", client="c-1", cloud="global")
    assert (trouble.kind, trouble.code) == (SigninKind.CONFIGURATION, f"AADSTS{code}")
    assert "{" not in trouble.sentence
    assert trouble.sentence.endswith(".") or trouble.sentence.endswith(").")


@pytest.mark.parametrize("code", TRANSIENT)
def test_codes_that_pass(code: int) -> None:
    """What passes by itself asks nobody for anything."""
    trouble = explain_signin(400, {"error": "x", "error_codes": [code]}, tenant="t-1")
    assert (trouble.kind, trouble.code) == (SigninKind.TRANSIENT, f"AADSTS{code}")
    assert "by itself" in trouble.sentence


def test_code_in_the_description_alone() -> None:
    """The list of codes may be missing."""
    body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
    assert explain_signin(401, body).code == "AADSTS7000215"


def test_unknown_code_is_shown_with_entras_own_words() -> None:
    """A code that nobody wrote a sentence for still helps, and without its trace ids."""
    body = {"error": "invalid_grant", "error_description": "AADSTS123456: New trouble. Trace ID: 1 Correlation ID: 2"}
    trouble = explain_signin(400, body)
    assert trouble.kind is SigninKind.CONFIGURATION
    assert "AADSTS123456: New trouble. Check" in trouble.sentence
    assert "Trace ID" not in trouble.sentence


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, None, SigninKind.TRANSIENT),
        (500, None, SigninKind.TRANSIENT),
        (503, {"error": "temporarily_unavailable"}, SigninKind.TRANSIENT),
        (400, {"error": "temporarily_unavailable"}, SigninKind.TRANSIENT),
        (200, None, SigninKind.TRANSIENT),
        (404, None, SigninKind.CONFIGURATION),
        (302, None, SigninKind.CONFIGURATION),
        (400, {"error": "invalid_client"}, SigninKind.CONFIGURATION),
    ],
)
def test_answers_without_a_code(status: int, body: object, kind: SigninKind) -> None:
    """Without an AADSTS code the OAuth error and the status decide."""
    assert explain_signin(status, body).kind is kind


def test_only_the_credential_is_worth_another_one() -> None:
    """The next secret of a list is tried when the first was refused, not when the tenant is
    unknown.
    """
    assert explain_signin(401, {"error_codes": [7000222]}).is_about_credential
    assert not explain_signin(400, {"error_codes": [90002]}).is_about_credential
