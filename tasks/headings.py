"""The headings people's lists have, in English, German, French and Spanish, from Graph, Entra, Exchange and HR systems.

One table and nothing else: a heading is reduced to its letters and digits (`heading_key`), and what is left is looked up. Headings
that mean different things in different lists ("Name") stand apart; `columns` decides about them by what stands beside them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tasks.fields import FIELDS

_WORDS: Final = {
    "email": (
        "email emailaddress emailadresse emailadr emailid smtp smtpaddress primarysmtpaddress "
        "mailaddress mailadresse inviteeemail inviteduseremailaddress inviteduseremail guestemail guestemailaddress useremail "
        "gastemail emailgast "
        "adresseemail adressemail courriel courrierelectronique adresseelectronique adressedemessagerie adressecourriel "
        "correo correoelectronico direccioncorreo direcciondecorreo direccioncorreoelectronico direcciondecorreoelectronico "
        "direccionemail direcciondeemail"
    ),
    "display_name": (
        "displayname fullname inviteduserdisplayname employeename guestname firstandlastname "
        "anzeigename vollstandigername vollstaendigername vollername gesamtname nameundvorname namevorname nachnamevorname "
        "vornamenachname vornamename vorundnachname vornameundnachname "
        "nomaffiche nomdaffichage nomcomplet nometprenom nomprenom prenomnom prenometnom "
        "nombreparamostrar nombrecompleto nombreyapellido nombreyapellidos nombreapellidos apellidosynombre"
    ),
    "first_name": "firstname givenname forename vorname vornamen rufname prenom prenoms nombredepila primernombre",
    "last_name": (
        "lastname surname familyname sn nachname familienname zuname nomdefamille apellido apellidos primerapellido"
    ),
    "redirect_url": "inviteredirecturl redirectionurl weiterleitungsurl",
    "message": "customizedmessagebody nachricht mensaje",
    "language": "preferredlanguage messagelanguage",
    "send_message": "sendinvitationmessage sendemail",
    "user_type": "invitedusertype",
}
FIELD_OF: Final = {
    **{field.replace("_", ""): field for field in FIELDS},
    **{word: field for field, words in _WORDS.items() for word in words.split()},
}
"""A heading's key → the field that it can only mean."""

MAIL: Final = "mail"
"""An address in Graph and in German lists; beside a plain `email` it is something else (usher's own results have both)."""

SIGN_IN_NAMES: Final = frozenset(
    [
        "userprincipalname",
        "upn",
        "benutzerprinzipalname",
        "nomprincipaldelutilisateur",
        "nomdutilisateurprincipal",
        "nombreprincipaldeusuario",
        "nombreprincipaldelusuario",
    ]
)
"""An address nearly always, and taken for one where the list has nothing better."""

NAMES: Final = frozenset({"name", "nom", "nombre"})
"""A whole name, or one part of it where another column holds the other part."""
GIVEN_NAME: Final = "nombre"

# What people put before or after the word for e-mail. One column with such a heading is the address; two are a question.
_WHICH: Final = (
    "work business office company corporate personal private home primary preferred "
    "geschaftlich geschaeftlich geschaftliche geschaeftliche dienstlich dienstliche beruflich berufliche firma firmen privat private "
    "arbeit buro buero primare primaere "
    "pro professionnel professionnelle travail bureau entreprise personnel personnelle perso prive privee principal principale "
    "trabajo profesional empresa laboral particular privado corporativo oficina"
)
# A further address, never the one that is meant where there is a first.
_FURTHER: Final = "secondary other alternate alternative sekundare sekundaere weitere alternativ secondaire autre secundario alternativo otro"


def _any_of(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


_EMAIL: Final = _any_of(f"{_WORDS['email']} {MAIL}")
_QUALIFIED: Final = re.compile(
    rf"(?:{_any_of(_WHICH + ' ' + _FURTHER)})*(?:{_EMAIL})(?:{_any_of(_WHICH + ' ' + _FURTHER)}|\d{{1,2}})*"
)
_IS_FURTHER: Final = re.compile(rf"{_any_of(_FURTHER)}|\d")
_LIKE_EMAIL: Final = re.compile(r"mail|courriel|correo|upn$")
# "E-Mail (required)": said about the cell, not about its meaning
_REMARK: Final = re.compile(
    r"(?<=.)(?:required|optional|pflichtfeld|pflicht|erforderlich|obligatoire|requis|facultatif|obligatorio|requerido|opcional)$"
)


def heading_key(heading: str) -> str:
    """Return a heading's letters and digits, folded: case, blanks, punctuation and accents make no difference."""
    if heading.isascii() and heading.isalnum():
        key = heading.lower()
    else:
        folded = unicodedata.normalize("NFKD", heading.casefold())
        key = "".join(character for character in folded if character.isalnum())
    return _REMARK.sub("", key)


def rank_of_email(key: str) -> int | None:
    """Return how surely a key is the address's, 0 being the surest, or None.

    0 a word for e-mail; 1 `mail`; 2 such a word with another that says which ("E-Mail privat", "Work Email"); 3 a further one
    ("Email 2", "Alternate email"); 4 a name to sign in with.
    """
    if FIELD_OF.get(key) == "email":
        return 0
    if key == MAIL:
        return 1
    if key in FIELD_OF:
        return None
    if _QUALIFIED.fullmatch(key):
        return 3 if _IS_FURTHER.search(key) else 2
    return 4 if key in SIGN_IN_NAMES else None


def is_like_email(key: str) -> bool:
    """Tell whether a heading might be the address's, though not by itself."""
    return _LIKE_EMAIL.search(key) is not None
