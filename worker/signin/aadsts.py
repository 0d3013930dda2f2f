"""A failed sign-in is explained in a sentence that says what to do. Pure and total.

Entra names the cause by an AADSTS code; the table holds those that a client credentials grant can
meet. "Configuration" needs a person, "transient" passes. A code that is not in the table is judged
by its OAuth error and HTTP status.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class SigninKind(StrEnum):
    """Who has to act."""

    CONFIGURATION = "configuration"  # a person
    TRANSIENT = "transient"  # nobody: ask again later


@dataclass(frozen=True, slots=True)
class SigninTrouble:
    """A failed sign-in: `code` is "AADSTS…" where Entra gave one, else the OAuth error or ours;
    `sentence` is for people.
    """

    kind: SigninKind
    code: str
    sentence: str

    @property
    def is_about_credential(self) -> bool:
        """True where another secret or certificate of the same application might do."""
        return self.code in _ABOUT_CREDENTIAL


_RENEW = (
    "Create a new client secret for the application (Certificates & secrets) and put its Value into the connection."
)
_UNTIL = "usher tries again by itself."

# {tenant}, {client} and {cloud} are the connection's own; each sentence says what happened, then
# who must do what.
_CONFIGURATION: dict[int, str] = {
    7000215: (
        "The client secret was refused. A usual slip: the secret's ID was pasted instead of its Value; check the"
        " connection's client_secret."
    ),
    7000222: f"The client secret has expired. {_RENEW} A certificate lasts longer.",
    7000216: "Entra got no usable credential: give the connection a client_secret or a certificate.",
    7000218: "Entra got no credential: give the connection a client_secret or a certificate.",
    700016: (
        "There is no application {client} in tenant {tenant}: check client_id and tenant_id, or have an administrator"
        " of that tenant give admin consent to the application."
    ),
    90002: "There is no tenant {tenant} in cloud {cloud}: check the connection's tenant_id and cloud.",
    **dict.fromkeys(
        (90038, 900382, 900432),
        "Tenant {tenant} lives in another national cloud than {cloud}: set the connection's cloud.",
    ),
    900023: "{tenant} is neither a tenant id nor a domain name: check the connection's tenant_id.",
    7000112: "The application {client} is disabled in tenant {tenant}: an administrator of that tenant must enable it.",
    70001: (
        "The application {client} is not known or disabled in tenant {tenant}: check client_id, or have an"
        " administrator enable it."
    ),
    700027: (
        "The certificate does not match one that is registered for the application: upload this certificate"
        " (Certificates & secrets), and check this machine's clock."
    ),
    700211: (
        "The application {client} trusts nobody who issues such tokens: set the issuer of its federated credential to"
        " the one that usher's token has (Certificates & secrets, Federated credentials), exactly."
    ),
    700212: (
        "The application {client} trusts that issuer's tokens for another audience: let usher's token be made for"
        " api://AzureADTokenExchange (its own in US Government and China), or set the audience of the federated"
        " credential to the token's."
    ),
    **dict.fromkeys(
        (700213, 7002131),
        "The application {client} trusts that issuer for another subject: set the subject of its federated credential"
        " to the one that usher's token has, exactly. Just added, it takes some minutes; usher goes on by itself.",
    ),
    70021: (
        "The application {client} has no federated credential for usher's token: add one with the token's issuer,"
        " subject and audience. Just added, it takes some minutes; usher goes on by itself."
    ),
    700030: "The certificate's subject is not allowed for the application: use a certificate that is registered there.",
    700024: (
        "The sign-in assertion is outside its time: check this machine's clock, and that whoever writes the file of"
        " client_assertion still renews it."
    ),
    50012: (
        "The certificate's signature was refused: upload this certificate to the application, and check this machine's"
        " clock."
    ),
    50194: "The application does not work with “common”: set tenant_id to the id of the tenant.",
    9001023: "The sign-in does not work with “common”: set tenant_id to the id of the tenant.",
    53003: (
        "A Conditional Access policy blocks the application: an administrator of {tenant} must exempt it (policies for"
        " workload identities, locations)."
    ),
    530032: "A security policy of {tenant} blocks the application: an administrator of that tenant must exempt it.",
    70011: (
        "The scope was refused: usher asks for the Graph of cloud {cloud}; check the connection's cloud and graph_url."
    ),
    650057: (
        "The application has not asked for Microsoft Graph: add the application permission User.Invite.All and give"
        " admin consent."
    ),
    650056: (
        "The application has no permission that was consented to: add User.Invite.All and have an administrator give"
        " admin consent."
    ),
    65001: "Nobody consented to the application in {tenant}: an administrator of that tenant must give admin consent.",
    500011: "Microsoft Graph is not known in tenant {tenant}: check the connection's cloud and graph_url.",
    500014: (
        "Microsoft Graph is disabled in tenant {tenant}: an administrator of that tenant must enable its service"
        " principal."
    ),
    50196: (
        "Entra saw too many identical sign-ins from here (a client loop). That is a fault of usher: please report it,"
        " and stop other programs that sign in with the same application."
    ),
    50034: "The account does not exist in tenant {tenant}: check tenant_id and client_id.",
    50059: "Entra could not tell the tenant: check the connection's tenant_id.",
}

_TRANSIENT: dict[int, str] = {
    90055: f"The sign-in service refuses tenant {{tenant}} because of too many requests; {_UNTIL}",
    **dict.fromkeys((90006, 90033, 90090), f"The sign-in service is not available for the moment; {_UNTIL}"),
    90012: f"The sign-in took too long; {_UNTIL}",
    90024: f"The sign-in service is busy; {_UNTIL}",
    90020: f"The sign-in service got no answer from a part of itself; {_UNTIL}",
    50085: f"The sign-in service asks to sign in again; {_UNTIL}",
}

_ABOUT_CREDENTIAL = frozenset(
    f"AADSTS{code}"
    for code in (
        *(7000215, 7000222, 7000216, 7000218),  # a secret
        *(700027, 700030, 700024, 50012),  # a certificate, or an assertion
        *(700211, 700212, 700213, 7002131, 70021),  # a federated credential
    )
)
_CODE = re.compile(r"AADSTS(\d{4,8})\b")
_PASSING_ERRORS = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_DETAIL_LIMIT = 300
"""Characters of Entra's own text that are shown for a code without a sentence."""


def explain_signin(status: int, body: Any, *, tenant: str = "", client: str = "", cloud: str = "") -> SigninTrouble:
    """Return why a sign-in failed.

    `body` is what the token endpoint (or MSAL) answered: a dict with `error`, `error_description`
    and `error_codes`, or anything else; `status` its HTTP status, 0 where it is not known. The
    other three fill the sentences. Never raises.
    """
    answer = body if isinstance(body, dict) else {}
    names = {
        "{tenant}": tenant or "of this connection",
        "{client}": client or "of this connection",
        "{cloud}": cloud or "global",
    }
    codes = _read_codes(answer)
    for code in codes:
        if code in _CONFIGURATION:
            return SigninTrouble(SigninKind.CONFIGURATION, f"AADSTS{code}", _fill(_CONFIGURATION[code], names))
        if code in _TRANSIENT:
            return SigninTrouble(SigninKind.TRANSIENT, f"AADSTS{code}", _fill(_TRANSIENT[code], names))
    error = answer.get("error")
    error = error if isinstance(error, str) else ""
    code_text = f"AADSTS{codes[0]}" if codes else error or (f"status_{status}" if status else "no_answer")
    if status == 429 or status >= 500 or status == 408 or error in _PASSING_ERRORS:
        slow = "asks to slow down" if status == 429 else f"is not available for the moment (status {status or error})"
        return SigninTrouble(SigninKind.TRANSIENT, code_text, f"The sign-in service {slow}; {_UNTIL}")
    detail = _read_detail(answer)
    if codes or error:
        return SigninTrouble(
            SigninKind.CONFIGURATION,
            code_text,
            f"Entra refused the sign-in with {code_text}: {detail or 'it gave no reason.'} Check the connection's"
            " tenant_id, client_id and credential.",
        )
    if 200 <= status < 300:
        # A login page of a network in between, or half an answer: nothing that a change of the
        # connection would cure for sure.
        return SigninTrouble(
            SigninKind.TRANSIENT,
            code_text,
            "Something other than Entra's sign-in service answered; check the proxy and the connection's authority."
            " usher tries again.",
        )
    return SigninTrouble(
        SigninKind.CONFIGURATION,
        code_text,
        f"The sign-in address answered with status {status} and no reason: check the connection's cloud, authority and"
        " tenant_id, and the proxy in between.",
    )


def _read_codes(answer: dict[str, Any]) -> list[int]:
    """Return the AADSTS codes of an answer, the listed ones first."""
    listed = answer.get("error_codes")
    codes = [code for code in listed if isinstance(code, int) and code > 0] if isinstance(listed, list) else []
    description = answer.get("error_description")
    if isinstance(description, str):
        codes += [int(found) for found in _CODE.findall(description[:4000])]
    return codes


def _read_detail(answer: dict[str, Any]) -> str:
    """Return Entra's own sentence without code, trace id and the rest."""
    description = answer.get("error_description")
    if not isinstance(description, str):
        return ""
    text = re.split(r"Trace ID:|Correlation ID:|[\r\n]", description[:4000])[0]
    return " ".join(re.sub(r"^\s*AADSTS\d+:\s*", "", text).split())[:_DETAIL_LIMIT]


def _fill(sentence: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        sentence = sentence.replace(name, value)
    return sentence
