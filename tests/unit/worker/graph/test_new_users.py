"""A member is made with a password that Entra takes, and every refusal is a sentence."""

from __future__ import annotations

import pytest

from tests.standins import answered
from worker.graph.batch import Fate, GraphAnswer
from worker.graph.causes import Kind
from worker.graph.new_users import CREATE_USERS, PASSWORD_LENGTH, build_user, make_password
from worker.graph.verdicts import decide


def test_passwords_are_long_random_and_of_every_kind() -> None:
    """No character is one that is misread for another."""
    made = {make_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert len(password) == PASSWORD_LENGTH
        assert any(c.islower() for c in password)
        assert any(c.isupper() for c in password)
        assert any(c.isdigit() for c in password)
        assert any(not c.isalnum() for c in password)
        assert not set(password) & set("0O1lI")


def test_the_request_has_what_graph_requires() -> None:
    """The nickname holds no character that one may not hold."""
    body = build_user("ada.o'neil@contoso.com", "Ada", "secret", {"department": "IT"}, enabled=False)
    assert body == {
        "accountEnabled": False,
        "displayName": "Ada",
        "mailNickname": "ada.oneil",
        "userPrincipalName": "ada.o'neil@contoso.com",
        "passwordProfile": {"password": "secret", "forceChangePasswordNextSignIn": True},
        "department": "IT",
    }
    assert build_user("'@contoso.com", "X", "p", {})["mailNickname"] == "user"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (GraphAnswer(Fate.ANSWERED, 201, {}, {"id": "abc"}), Kind.DONE, ""),
        (
            answered(400, "Request_BadRequest", "Another object with the same value for property userPrincipalName …"),
            Kind.FAILED,
            "Somebody in this tenant",
        ),
        (
            answered(400, "Request_BadRequest", "You must use one of the verified domain names in your organization."),
            Kind.FAILED,
            "none that the tenant has verified",
        ),
        (answered(403, "Authorization_RequestDenied", "Insufficient privileges …"), Kind.HOLD, "User.Create"),
        (GraphAnswer(Fate.LOST), Kind.IN_DOUBT, "may have been created"),
        (answered(429, "TooManyRequests", "Slow down."), Kind.THROTTLED, ""),
    ],
)
def test_what_graph_says(answer: GraphAnswer, kind: Kind, told: str) -> None:
    """A refusal says who does what; a lost answer is a doubt."""
    verdict = decide(CREATE_USERS, answer)
    assert verdict.kind is kind
    assert told in verdict.message
    assert "{" not in verdict.message
