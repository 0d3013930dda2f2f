"""A list's domains are counted; some look like a slip of the pen, some are private mail providers.
Pure.

`gmial.com` is one slip away from `gmail.com`: one character too many, too few or wrong, or two that
changed places. Domains are compared with well-known providers, with the tenant's own domains, and
with the large domains of the list itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

PRIVATE_PROVIDERS: Final = frozenset(
    """
    gmail.com googlemail.com outlook.com outlook.de outlook.fr outlook.es hotmail.com hotmail.de hotmail.fr hotmail.es hotmail.it
    hotmail.co.uk live.com live.de live.fr live.co.uk live.nl msn.com yahoo.com yahoo.de yahoo.fr yahoo.es yahoo.it yahoo.co.uk yahoo.co.jp
    yahoo.com.br ymail.com rocketmail.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.at gmx.ch gmx.com web.de t-online.de freenet.de
    arcor.de mail.de posteo.de mailbox.org online.de 1und1.de orange.fr wanadoo.fr free.fr sfr.fr laposte.net libero.it virgilio.it
    tiscali.it alice.it telefonica.net terra.com.br uol.com.br bol.com.br bluewin.ch hispeed.ch aon.at chello.at btinternet.com sky.com
    virginmedia.com talktalk.net comcast.net verizon.net att.net sbcglobal.net cox.net charter.net bellsouth.net ziggo.nl kpnmail.nl
    planet.nl telenet.be skynet.be proton.me protonmail.com pm.me tutanota.com zoho.com mail.com mail.ru yandex.ru yandex.com bk.ru
    inbox.ru list.ru qq.com 163.com 126.com sina.com naver.com hanmail.net daum.net rediffmail.com wp.pl o2.pl onet.pl interia.pl seznam.cz
    centrum.cz ukr.net abv.bg fastmail.com hey.com
    """.split()  # noqa: SIM905 - a hundred quoted names would hide them
)
"""Where people, not organisations, have their mail."""

_SHORTEST: Final = 5
"""Letters before the first dot below which one slip away is another real domain as often as not
(gmx, web, aol).
"""
_LARGE: Final = 10  # rows of a domain that a small one may be a slip of, and how many times larger it must be
_MOST_LARGE: Final = 50


@dataclass(frozen=True, slots=True)
class DomainNote:
    """One domain of a list. `looks_like`: what it was perhaps meant to be, '' if nothing."""

    domain: str
    rows: int
    private: bool
    looks_like: str


def describe_domains(counts: Mapping[str, int], own: Collection[str] = ()) -> list[DomainNote]:
    """Return the domains of a list, those with most rows first. `own` are the tenant's domains."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    large = [pair for pair in ranked[:_MOST_LARGE] if pair[1] >= _LARGE]
    known = sorted(PRIVATE_PROVIDERS) + sorted(own)
    notes = []
    for domain, rows in ranked:
        private = domain in PRIVATE_PROVIDERS
        meant = ""
        if not private and domain not in own:
            rivals = [name for name, count in large if count >= _LARGE * rows]
            meant = next((name for name in (*known, *rivals) if _looks_like(domain, name)), "")
        notes.append(DomainNote(domain, rows, private, meant))
    return notes


def _looks_like(domain: str, known: str) -> bool:
    if len(known.partition(".")[0]) < _SHORTEST or not is_one_slip(domain, known):
        return False
    # The same name under another ending is a domain of its own: fabrikam.de, fabrikam.dk
    name, _, ending = domain.partition(".")
    return not (name == known.partition(".")[0] and known not in PRIVATE_PROVIDERS and len(ending) > 1)


def is_one_slip(text: str, other: str) -> bool:
    """Tell whether one character too many, too few, wrong, or two swapped make one the other."""
    if abs(len(text) - len(other)) > 1 or text == other:
        return False
    start = 0
    while start < min(len(text), len(other)) and text[start] == other[start]:
        start += 1
    a, b = text[start:], other[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
