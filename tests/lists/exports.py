"""Made-up exports as people have them, each with what it must be read as, or the sentence it must
be refused with.

They are written here and not kept as files, so that encodings, separators and Excel's own oddities
can be seen in a diff.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from tasks.lists.options import ListOptions

ANN = "ann@partner.example"
JOERG = "joerg@partner.example"
ZOE = "zoe@partner.example"


@dataclass(frozen=True)
class Export:
    """One file. `rows`: what every good row must hold, as (email, display name) or a dict of
    fields; `bad`: the lines of bad rows.

    `refused`: words of the sentence instead. `asked`: the answers offered instead, of which
    `answer` (from 1) leads to `rows`.
    """

    name: str
    data: bytes
    rows: Sequence[tuple[str, str] | Mapping[str, Any]] = ()
    bad: Sequence[int] = ()
    refused: Sequence[str] = ()
    asked: Sequence[str] = ()
    answer: int = 0
    options: ListOptions = field(default_factory=ListOptions)
    described: Sequence[str] = ()
    warned: str = ""


def text(lines: str, encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    """Return lines as Excel writes them: CRLF, in some encoding."""
    return end.join(lines.strip("\n").split("\n")).encode(encoding) + end.encode(encoding)


def sheet(
    fill: Callable[[Worksheet], None] | Sequence[Sequence[Any]], *more: tuple[str, Sequence[Sequence[Any]]]
) -> bytes:
    """Return a workbook with one sheet, filled by a function or with rows, and perhaps more of
    them.
    """
    book = Workbook()
    first = book.active
    assert isinstance(first, Worksheet)
    if callable(fill):
        fill(first)
    else:
        for row in fill:
            first.append(list(row))
    for title, rows in more:
        other = book.create_sheet(title)
        for row in rows:
            other.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def replaced(workbook: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a workbook with one part of its zip file changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename == part else data)
    return file.getvalue()


def mapped(**mapping: str) -> ListOptions:
    """Return what --map says."""
    return ListOptions(mapping=mapping)


GERMAN = """
Vorname;Nachname;E-Mail-Adresse
Jörg;Müller;joerg@partner.example
Zoë;Groß;zoe@partner.example
"""
GERMAN_ROWS = [(JOERG, "Jörg Müller"), (ZOE, "Zoë Groß")]
FRENCH = """
Prénom;Nom;Adresse e-mail;Téléphone
Zoé;Lefèvre;zoe@partner.example;+33 1 23 45 67 89
Jérôme;d’Été;joerg@partner.example;
"""
FRENCH_ROWS = [(ZOE, "Zoé Lefèvre"), (JOERG, "Jérôme d’Été")]
SPANISH = """
Nombre;Apellidos;Correo electrónico
Zoé;Núñez Peña;zoe@partner.example
"""
SPANISH_ROWS = [(ZOE, "Zoé Núñez Peña")]
TEMPLATE = (
    "version:v1.0\n"
    "E-Mail-Adresse der einzuladenden Person [inviteeEmail] Erforderlich;Umleitungs-URL [inviteRedirectURL] Erforderlich;"
    "Einladungsnachricht senden (true oder false) [sendEmail];Angepasste Einladungsnachricht [customizedMessageBody]\n"
    "Beispiel: chris@contoso.com;https://myapplications.microsoft.com;true;Willkommen\n"
    "ann@partner.example;https://x.example;WAHR?;Hallo\n"
    "zoe@partner.example;https://x.example;TRUE;Grüße\n"
)
WHOLE_WAY = {
    "company": "Fabrikam, Inc.",
    "job_title": "Buyer",
    "expires": "2026-12-31",
    "sponsors": ["eva@contoso.example"],
    "groups": ["Partners", "Finance, Oslo"],
}
TEMPLATE_WITH_MORE = (
    "version:v1.0;;;\n"
    "Email [inviteeEmail] Required;Redirect [inviteRedirectURL] Required;Gruppen [groups];Ablaufdatum\n"
    "Example: chris@contoso.com;https://myapplications.microsoft.com;;\n"
    "zoe@partner.example;https://x.example;Partners;2026-12-31\n"
)
ENTRA_USERS = """
userPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,accountEnabled,usageLocation,alternateEmailAddress,creationType
ann_partner.example#EXT#@contoso.onmicrosoft.com,Ann Lee,Lee,ann@partner.example,Ann,0d1,Guest,,,true,DE,a.lee@home.example,Invitation
zoe@contoso.example,Zoë Groß,Groß,zoe@partner.example,Zoë,0d2,Guest,,,true,DE,,
"""
OUTLOOK = (
    "Title,First Name,Middle Name,Last Name,Suffix,Company,Business Phone,E-mail Address,E-mail Type,E-mail Display Name,E-mail 2 Address\n"
    'Ms,Ann,,Lee,,"Fabrikam, Inc.",+1 555 0100,ann@partner.example,SMTP,Ann Lee (ann@partner.example),\n'
)
OUTCOMES = "status,user_id,invitation_id,redeem_url,mail,error_code,error_message,request_id,attempts,finished_at"


def titled(first: Worksheet) -> None:
    """A title, a date, an empty row, a group of columns that is merged, headings, guests."""
    first["A1"] = "Gästeliste Projekt Süd"
    first["A2"] = datetime(2026, 11, 25, 8, 30)  # noqa: DTZ001 - Excel knows no time zones
    first.append([])
    first.append(["Person", None, "Kontakt", None])
    first.merge_cells("A4:B4")
    first.merge_cells("C4:D4")
    first.append(["Vorname", "Nachname", "E-Mail", "Telefon"])
    first.append(["Jörg", "Müller", JOERG, 4915112345])
    first.append([None, None, None, None])
    first.append(["Zoë", "Groß", f"mailto:{ZOE}", None])


def two_rows_of_headings(first: Worksheet) -> None:
    """ "Name" is merged over both rows of headings, "Kontakt" stands over two columns."""
    first.append(["Name", "Kontakt", None])
    first.append([None, "E-Mail", "Telefon"])
    first.append(["Jörg Müller", JOERG, 17])
    first.merge_cells("A1:A2")
    first.merge_cells("B1:C1")


def merged_email(first: Worksheet) -> None:
    """One heading over two columns of addresses."""
    first.append(["Name", "E-Mail", None])
    first.append(["Ann", "old@partner.example", ANN])
    first.merge_cells("B1:C1")


def with_hidden(first: Worksheet) -> None:
    """Row 3 is hidden by hand; row 5, hidden too, holds nothing."""
    for row in (["E-Mail"], [ANN], [JOERG], [ZOE]):
        first.append(row)
    first.row_dimensions[3].hidden = True
    first.row_dimensions[5].hidden = True


def filtered(first: Worksheet) -> None:
    """A filter leaves one of three."""
    for row in (["E-Mail", "Firma"], [ANN, "A"], [JOERG, "B"], [ZOE, "B"]):
        first.append(row)
    first.auto_filter.ref = "A1:B4"
    first.auto_filter.add_filter_column(1, ["A"])
    first.row_dimensions[3].hidden = first.row_dimensions[4].hidden = True


def typed(first: Worksheet) -> None:
    """Numbers, dates, true and false, a formula nobody calculated, an error."""
    first.append(["email", "ref", "send_message", "since", "display_name", "last_name"])
    first.append([ANN, 1234567, False, date(2026, 1, 2), "=A1", "_x0041_nn"])
    first.append(["#N/A", 1.5, True, None, None, None])


EXPORTS = [
    # CSV as Excel and others write it
    Export("Excel, English, plain", text(f"Email,First name,Last name\n{ANN},Ann,Lee"), [(ANN, "Ann Lee")], described=["CSV with commas", "headings in line 1"]),
    Export("Excel, German, CSV UTF-8", b"\xef\xbb\xbf" + text(GERMAN), GERMAN_ROWS, described=["CSV with semicolons", "UTF-8 with a mark"]),
    Export("Excel, German, plain CSV", text(GERMAN, "cp1252"), GERMAN_ROWS, described=["Windows-1252"]),
    Export("Excel, German, Unicode text", "\ufeff".encode("utf-16-le") + text(GERMAN.replace(";", "\t"), "utf-16-le"), GERMAN_ROWS, described=["CSV with tabs", "UTF-16"]),
    Export("UTF-16, big end first", "\ufeff".encode("utf-16-be") + text(GERMAN, "utf-16-be"), GERMAN_ROWS),
    Export("Excel, French, plain CSV", text(FRENCH, "cp1252"), FRENCH_ROWS, described=["phone from “Téléphone”"]),
    Export("Excel, French, CSV UTF-8", b"\xef\xbb\xbf" + text(FRENCH), FRENCH_ROWS),
    Export("Excel, Spanish, plain CSV", text(SPANISH, "cp1252"), SPANISH_ROWS),
    Export("Excel, Spanish, CSV UTF-8", b"\xef\xbb\xbf" + text(SPANISH), SPANISH_ROWS),
    Export("Excel's line about the separator", text(f"sep=;\nName;E-Mail\nLee, Ann;{ANN}"), [(ANN, "Lee, Ann")]),
    Export("vertical bars", text(f"email|display_name\n{ANN}|Ann; Lee, B.Sc."), [(ANN, "Ann; Lee, B.Sc.")]),
    Export("one column", text(f"E-Mail\n{ANN}\n{ZOE}", end="\n"), [(ANN, ""), (ZOE, "")]),
    Export("one column with trailing separators", text(f"E-Mail;;\n{ANN};;\n;;\n{ZOE};;"), [(ANN, ""), (ZOE, "")], described=["semicolons"]),
    Export("classic Macintosh line ends", text(f"email,display_name\n{ANN},Ann", end="\r"), [(ANN, "Ann")]),
    Export("CSV (MS-DOS), said", text(GERMAN, "cp850").replace("ß".encode("cp850"), b"ss"), [(JOERG, "Jörg Müller"), (ZOE, "Zoë Gross")], options=ListOptions(encoding="cp850"), described=["DOS"]),
    Export("CSV (MS-DOS)", text(GERMAN.replace("ü", "ö"), "cp850"), [(JOERG, "Jörg Möller"), (ZOE, "Zoë Groß")], asked=["J”rg (Windows-1252)", "Jörg (DOS (850))"], answer=2),
    Export("CSV (Macintosh)", text(GERMAN, "mac-roman"), GERMAN_ROWS, asked=["MŸller (Windows-1252)", "Müller (Macintosh)"], answer=2),
    Export("Excel, Russian, plain CSV", text(f"email;name\n{ANN};Анна Кузнецова", "cp1251"), [(ANN, "Анна Кузнецова")], asked=["Анна (Windows-1251)"], answer=1),
    Export("Windows-1252 but for one byte", text(GERMAN, "cp1252") + b"Ann;J\x81r;ann@partner.example\r\n", [*GERMAN_ROWS, (ANN, "Ann")], asked=["J�r (Windows-1252)", "Jür (DOS (850))"], answer=1, warned="“Nachname”: 1 cell cannot be used as last_name and is left out, in line 4: contains a line break or another control character"),
    Export("Windows-1252 but for one name", text(f"email,name\n{JOERG},Jörg", "cp1252") + text(f"{ZOE},Zoë"), [(JOERG, "Jörg"), (ZOE, "ZoÃ«")], asked=["ZoÃ« (Windows-1252)"], answer=1),
    Export("blanks before quotation marks", text(f'"email", "name", "ref"\n"{ANN}", "Lee, Ann", "7"', end="\n"), [{"email": ANN, "display_name": "Lee, Ann", "ref": "7"}]),
    Export("two encodings in one file", text(f"email,display_name\n{ZOE},Zoë") + text(f"{JOERG},Jörg", "cp1252"), refused=["line 3", "two encodings were mixed", "CSV UTF-8"]),
    Export("UTF-16 without a mark", text(GERMAN, "utf-16-le"), refused=["zero bytes", "--encoding utf-16-le"]),
    Export("UTF-16 without a mark, said", text(GERMAN, "utf-16-le"), GERMAN_ROWS, options=ListOptions(encoding="utf-16-le")),
    # What stands above, between and behind
    Export("title rows", text(f"Guest list Q4;;\nContoso, Seattle;;\n;;\nE-mail;Name;Ref\n{ANN};Ann;7"), [{"email": ANN, "display_name": "Ann", "ref": "7"}], described=["headings in line 4"]),
    Export("title with a stray quotation mark", text(f'"Guests" 2026,,\nemail,name\n{ANN},Ann'), [(ANN, "Ann")], described=["headings in line 2"]),
    Export("headings below line 20", text("\n".join("note,x" for _ in range(21)) + f"\nemail,name\n{ANN},Ann"), refused=["no column called email"]),
    Export("headings below line 20, said", text("\n".join("note,x" for _ in range(21)) + f"\nemail,name\n{ANN},Ann"), [(ANN, "Ann")], options=ListOptions(header_line=22)),
    Export("guests above the headings", text(f"{ZOE},Zoe\nemail,name\n{ANN},Ann"), [(ANN, "Ann")], asked=["yes, the guests are below line 2"], answer=1),
    Export("merged headings, as a CSV", text(f"Person;;Kontakt;\nVorname;Nachname;E-Mail;Telefon\nZoë;Groß;{ZOE};1"), [(ZOE, "Zoë Groß")]),
    Export("headings with line breaks", text(f'"E-Mail\nAdresse","Vorname"\n{ANN},Ann', end="\n"), [(ANN, "Ann")], described=["headings in line 1"]),
    Export("quoted line breaks and quotation marks", text(f'email,message,ref\n{ANN},"Dear ""Ann"",\n\nsee you; soon",1\n{ZOE},,2', end="\n"), [{"email": ANN, "message": 'Dear "Ann",\n\nsee you; soon', "ref": "1"}, {"email": ZOE, "ref": "2"}]),
    Export("empty lines everywhere", text(f"\n\n  \nemail,name\n\n{ANN},Ann\n,\n  , \n\n{ZOE},\n\n"), [(ANN, "Ann"), (ZOE, "")]),
    Export("trailing separators", text(f"email;name;;;\n{ANN};Ann;;;\n{ZOE};;;;;;;"), [(ANN, "Ann"), (ZOE, "")]),
    Export("a hundred columns", text(",".join(f"Field {n}" for n in range(99)) + f",Email\n{'x,' * 99}{ANN}"), [(ANN, "")], warned="“Field 0”, “Field 1”"),
    Export("an unquoted separator", text(f"name;email;ref\nLee; Ann;{ANN};1\nZoë;{ZOE};2"), [(ZOE, "Zoë")], bad=[2]),
    Export("a cell too many behind the address", text(f"email;name\n{ANN};Ann;1\n{ZOE};Zoë;"), [(ANN, "Ann"), (ZOE, "Zoë")], warned="1 row has more cells than the headings name, in line 2"),
    Export("a dash for a language, a telephone number for a copy", text(f"E-Mail,Language,CC\n{ANN},-,+49 30 1"), [{"email": ANN}], warned="“Language”: 1 cell cannot be used"),
    Export("a quotation mark never closed", text(f'email,name\n{ANN},"Ann\n{ZOE},Zoë'), refused=["quotation mark opened in line 2 is never closed"]),
    Export("a list without headings", text(f"{ANN},Ann\n{ZOE},Zoë"), refused=["begins with an address", "email above"]),
    Export("nothing but headings", text("Vorname;Nachname;E-Mail"), refused=["headings but no rows"]),
    Export("no addresses at all", text("Name;Telefon\nAnn;17"), refused=["no column called email", "“Name”, “Telefon”", "--map email="]),
    # Which column
    Export("two e-mail columns", text(f"Name;E-Mail geschäftlich;E-Mail privat\nAnn;{ANN};a@home.example"), [(ANN, "Ann")], asked=["“E-Mail geschäftlich”", "“E-Mail privat”"], answer=1),
    Export("two e-mail columns, said", text(f"Name;E-Mail geschäftlich;E-Mail privat\nAnn;{ANN};a@home.example"), [(ANN, "Ann")], options=mapped(email="E-Mail geschäftlich")),
    Export("two columns of one name", text(f"email,email\na@home.example,{ANN}"), [(ANN, "")], asked=["“email” (column 1)", "“email” (column 2)"], answer=2),
    Export("one e-mail column with a long name", text(f"Employee ID,Legal Name,Work Email\n17,x,{ANN}"), [(ANN, "")]),
    Export("a further address beside the first", text(f"Email,Email 2,Alternate email\n{ANN},b@x.example,c@x.example"), [(ANN, "")]),
    Export("a heading nobody knows", text(f"Person;Kontakt\nAnn;{ANN}"), [(ANN, "")], described=["email from “Kontakt”: the only column with addresses"]),
    Export("a heading that is like e-mail", text(f"Name;Mailbox (SMTP)\nAnn;{ANN}"), [(ANN, "Ann")], described=["email from “Mailbox (SMTP)”: the only"]),
    Export("a heading of somebody's own", text(f"Nome,email_institucional,Matrícula\nAnn,,1\nZoe,{ZOE},2"), [(ZOE, "Zoe")], bad=[2], described=["email from “email_institucional”: the only"]),
    Export("a heading in the plural, below a title", text(f"Guests 2026,,\nName,Emails,Phone\nAnn,{ANN},1"), [(ANN, "Ann")], described=["headings in line 2"]),
    Export("a remark with an address", text(f"Name;Contact Email;Remarks\nAnn;{ANN};\nZoe;{ZOE};{JOERG}\nJo;{JOERG};left\nBo;b@x.example;back"), [(ANN, "Ann"), (ZOE, "Zoe"), (JOERG, "Jo"), ("b@x.example", "Bo")], described=["email from “Contact Email”: the only"]),
    Export("two columns of addresses that nobody knows", text(f"Name;Contact;Login\nAnn;{ANN};a@home.example"), [(ANN, "Ann")], asked=["“Contact”", "“Login”"], answer=1),
    Export("two of one name that nobody knows", text(f"Name;Contact;Contact\nAnn;a@home.example;{ANN}"), [(ANN, "Ann")], asked=["“Contact” (column 2)", "“Contact” (column 3)"], answer=2),
    Export("a row with its address elsewhere", text(f"Name;Contact;Login\nAnn;{ANN};17\nZoe;;{ZOE}\nJo;{JOERG};18"), [(ANN, "Ann"), (JOERG, "Jo")], bad=[3], asked=["“Contact”", "“Login”"], answer=1),
    Export("two e-mail columns, the first empty", text(f"Name;E-Mail geschäftlich;E-Mail privat\nAnn;;{ANN}\nZoe;;{ZOE}"), [(ANN, "Ann"), (ZOE, "Zoe")], described=["email from “E-Mail privat”: the only column with addresses"]),
    Export("an e-mail column that is empty beside a further one", text(f"Email,Email 2\n,{ANN}\n,{ZOE}"), [(ANN, ""), (ZOE, "")], described=["email from “Email 2”: the only"]),
    Export("copies alone", text(f"Name;CC\nAnn;{ANN}"), [(ANN, "Ann")], asked=["“CC”"], answer=1),
    Export("a mapping to a column that is not there", text(f"Name;E-Mail\nAnn;{ANN}"), refused=["no column “Mail 2”", "--map"], options=mapped(email="Mail 2")),
    Export("a mapping by number", text(f"a,b\n{'Email'},x\nAnn,{ANN}"), [(ANN, "")], options=ListOptions(mapping={"email": "#2"}, header_line=2)),
    Export("a mapping of another field, and none", text(f"Mail,Personalnummer,Language\n{ANN},P-7,Deutsch"), [{"email": ANN, "ref": "P-7"}], options=mapped(ref="Personalnummer", language="")),
    Export("two separators", text(f"email,first;email\n{ANN},x;{ZOE}"), [(ZOE, "")], asked=["commas", "semicolons"], answer=2),
    # Systems
    Export("HR, German", text(f"Personalnr.;Name;Vorname;Eintritt;E-Mail (dienstlich);Abteilung\n17;Müller;Jörg;01.02.2020;{JOERG};IT", "cp1252"), [(JOERG, "Jörg Müller")], warned="Personalnr."),
    Export("HR, French", text(f"Matricule;Nom;Prénom;Courriel professionnel\n17;Lefèvre;Zoé;{ZOE}", "cp1252"), [(ZOE, "Zoé Lefèvre")]),
    Export("HR, Spanish", text(f"Nombre y apellidos;Dirección de correo electrónico\nZoé Núñez;{ZOE}"), [(ZOE, "Zoé Núñez")]),
    Export("HR, English", text(f"Employee;Surname;Forename;E-mail address (required)\n1;Lee;Ann;{ANN}"), [(ANN, "Ann Lee")]),
    Export("Entra, users", b"\xef\xbb\xbf" + text(ENTRA_USERS), [(ANN, "Ann Lee"), (ZOE, "Zoë Groß")], warned="userPrincipalName"),
    Export("Entra, names to sign in only", text(f"userPrincipalName,displayName\n{ANN},Ann"), [(ANN, "Ann")]),
    Export("Exchange, recipients", text(f'"DisplayName","PrimarySmtpAddress"\n"Ann Lee","{ANN}"'), [(ANN, "Ann Lee")]),
    Export("HR, Italian", text(f"Cognome;Nome;Indirizzo e-mail (obbligatorio);Telefono\nRossi;Zoë;{ZOE};1", "cp1252"), [(ZOE, "Zoë Rossi")]),
    Export("HR, Portuguese", text(f"Nome;Sobrenome;Endereço de e-mail\nZoë;Conceição;{ZOE}", "cp1252"), [(ZOE, "Zoë Conceição")]),
    Export("HR, Dutch", text(f"Voornaam;Achternaam;E-mailadres (zakelijk)\nZoë;de Vries;{ZOE}"), [(ZOE, "Zoë de Vries")]),
    Export("HR, Polish", text(f"Imię;Nazwisko;Adres e-mail\nZoë;Wałęsa;{ZOE}"), [(ZOE, "Zoë Wałęsa")]),
    Export("HR, Swedish", text(f"Förnamn;Efternamn;E-postadress\nZoë;Åberg;{ZOE}"), [(ZOE, "Zoë Åberg")]),
    Export("HR, Danish", text(f"Fornavn;Efternavn;E-mailadresse\nZoë;Sørensen;{ZOE}"), [(ZOE, "Zoë Sørensen")]),
    Export("HR, Norwegian", text(f"Navn;E-post (jobb);E-post 2\nZoë Bø;{ZOE};x@y.example"), [(ZOE, "Zoë Bø")]),
    Export("HR, Japanese", text(f"姓,名,メールアドレス（必須）,会社名\n佐藤,ゾーイ,{ZOE},x"), [{"email": ZOE, "last_name": "佐藤", "first_name": "ゾーイ", "display_name": "ゾーイ 佐藤", "company": "x"}]),
    Export("Google Contacts, before 2024", text(f"Name,Given Name,Additional Name,Family Name,Yomi Name,Language,Notes,Group Membership,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Type,E-mail 2 - Value,Phone 1 - Type,Phone 1 - Value\nAnn Lee,Ann,,Lee,,,,* myContacts,* Work,{ANN},Home,a@home.example,Mobile,+1 555\nZoe,Zoe,,,,,,* myContacts,* Work,{ZOE},,,,"), [(ANN, "Ann Lee"), (ZOE, "Zoe")], described=["email from “E-mail 1 - Value”"]),
    Export("Google Contacts, since 2024", text(f"First Name,Middle Name,Last Name,Phonetic First Name,Nickname,File As,Organization Name,Notes,Photo,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\nAnn,,Lee,,,,Fabrikam,,,* myContacts,* Work,{ANN},,"), [(ANN, "Ann Lee")], described=["email from “E-mail 1 - Value”: the only column with addresses"]),
    Export("Outlook of today, contacts", text(f"First Name,Middle Name,Last Name,Title,Suffix,Nickname,Given Yomi,Surname Yomi,E-mail Address,E-mail 2 Address,E-mail 3 Address,Home Phone\nAnn,,Lee,,,,,,{ANN},a@home.example,,"), [(ANN, "Ann Lee")]),
    Export("Outlook, contacts without a first address", text(f"First Name,Last Name,E-mail Address,E-mail 2 Address\nAnn,Lee,,{ANN}"), [(ANN, "Ann Lee")], described=["email from “E-mail 2 Address”: the only"]),
    Export("Outlook, German, contacts", text(f'"Anrede","Vorname","Nachname","E-Mail-Adresse","E-Mail-Typ","E-Mail 2: Adresse"\n"","Zoë","Groß","{ZOE}","SMTP","x@y.example"', "cp1252"), [(ZOE, "Zoë Groß")]),
    Export("Apple School Manager, people", text(f"person_id,person_number,first_name,middle_name,last_name,email_address,sis_username\n1,2,Ann,,Lee,{ANN},"), [(ANN, "Ann Lee")]),
    Export("Apple Contacts, through Numbers", text(f"Name;Company;work email;home email;mobile phone\nAnn Lee;Fabrikam;{ANN};;+1"), [(ANN, "Ann Lee")], described=["email from “work email”: the only"]),
    Export("Apple Contacts, vCards", text("BEGIN:VCARD\nVERSION:3.0\nN:Lee;Ann;;;\nEMAIL;type=INTERNET:ann\nEND:VCARD"), refused=["is a vCard", "Numbers"]),
    Export("Microsoft 365, active users", text(f"Block credential,City,Display name,First name,Last name,Licenses,Preferred language,Proxy addresses,User principal name,When created\nFalse,,Ann Lee,Ann,Lee,,en-US,SMTP:{ANN}+smtp:x@y.example,{ANN},"), [{"email": ANN, "display_name": "Ann Lee", "first_name": "Ann", "last_name": "Lee", "language": "en-US"}]),
    Export("the admin center's template for creating users", text("version:v1.0\nName [displayName] Required,User name [userPrincipalName] Required,Initial password [passwordProfile] Required,Block sign in (Yes/No) [accountEnabled] Required,First name [givenName],Last name [surname]\nExample: Chris Green,chris,myPassword1234,No,Chris,Green"), refused=["template for creating users", "the tenant's own people", "Bulk invite"]),
    Export("the same in German, saved by Excel", text("version:v1.0;;;\nName [displayName] Erforderlich;Benutzername [userPrincipalName] Erforderlich;Anfangskennwort [passwordProfile] Erforderlich;Anmeldung blockieren (Ja/Nein) [accountEnabled] Erforderlich", "cp1252"), refused=["template for creating users"]),
    Export("the admin center's template for deleting users", text("version:v1.0\nUser name [userPrincipalName] Required\nExample: chris"), refused=["template for deleting users"]),
    Export("the admin center's template for restoring users", text("version:v1.0\nObject ID [objectId] Required\nExample: 9832aad8"), refused=["template for restoring users"]),
    Export("the admin center's template for a group", text("version:v1.0\nMember object ID or user principal name [memberObjectIdOrUpn] Required\nExample: 9832aad8"), refused=["template for members of a group"]),
    Export("workbook, the template for deleting users", sheet([["version:v1.0"], ["User name [userPrincipalName] Required"], [ANN]]), refused=["template for deleting users"]),
    Export("workbook, a heading nobody knows", sheet([["Liste"], [], ["Person", "Kontakt"], ["Ann", None], ["Zoe", ZOE]]), [(ZOE, "")], bad=[4], described=["email from “Kontakt”: the only", "headings in row 3"]),
    Export("workbook, two e-mail columns, the first empty", sheet([["E-Mail privat", "E-Mail Büro"], [None, ANN]]), [(ANN, "")], described=["email from “E-Mail Büro”: the only"]),
    Export("workbook, an address on the cover", sheet([["Owner"], ["boss@partner.example"]], ("Gäste", [["E-Mail"], [ANN]])), [(ANN, "")], asked=["“Gäste”"], answer=1),
    Export("Outlook, contacts", text(OUTLOOK), [(ANN, "Ann Lee")]),
    Export("Google Workspace, users", text(f"First Name [Required],Last Name [Required],Email Address [Required],Recovery Email\nAnn,Lee,{ANN},x@y.example"), [(ANN, "Ann Lee")]),
    Export("PowerShell's New-MgInvitation", text(f"Name,InvitedUserEmailAddress,InviteRedirectUrl\nAnn,{ANN},https://x.example"), [{"email": ANN, "display_name": "Ann", "redirect_url": "https://x.example"}]),
    Export("HR, English, whole way", text(f"E-mail,Company name,Job title,Valid until,Sponsor,Security groups\n{ANN},\"Fabrikam, Inc.\",Buyer,31.12.2026,eva@contoso.example,\"Partners; Finance, Oslo\""), [{"email": ANN, **WHOLE_WAY}]),
    Export("HR, German, whole way", text(f"E-Mail;Firma;Funktion;Gültig bis;Sponsoren;Gruppen\n{ANN};Fabrikam, Inc.;Buyer;31.12.2026;eva@contoso.example;\"Partners\nFinance, Oslo\"", "cp1252"), [{"email": ANN, **WHOLE_WAY}]),
    Export("HR, French, whole way", text(f"Courriel;Société;Fonction;Date d’expiration;Parrain;Groupes\n{ANN};Fabrikam, Inc.;Buyer;31/12/2026;eva@contoso.example;\"Partners;Finance, Oslo\"", "cp1252"), [{"email": ANN, **WHOLE_WAY}]),
    Export("HR, Spanish, whole way", text(f"Correo;Empresa;Puesto;Fecha de caducidad;Patrocinador;Grupos\n{ANN};Fabrikam, Inc.;Buyer;31/12/2026;eva@contoso.example;\"Partners;Finance, Oslo\""), [{"email": ANN, **WHOLE_WAY}]),
    Export("HR, Norwegian, whole way", text(f"E-post;Selskap;Stillingstittel;Utløpsdato;Sponsorer;Gruppe\n{ANN};Fabrikam, Inc.;Buyer;31.12.2026;eva@contoso.example;\"Partners;Finance, Oslo\""), [{"email": ANN, **WHOLE_WAY}]),
    Export("Excel, whole way", sheet([["E-Mail", "Firma", "Funktion", "Gültig bis", "Sponsor", "Gruppen"], [ANN, "Fabrikam, Inc.", "Buyer", date(2026, 12, 31), "eva@contoso.example", "Partners\nFinance, Oslo"]]), [{"email": ANN, **WHOLE_WAY}]),
    Export("Excel, an end with a time of day", sheet([["E-Mail", "Expires"], [ANN, datetime(2026, 12, 31, 18, 0)]]), [{"email": ANN, "expires": "2026-12-31"}]),  # noqa: DTZ001 - Excel knows no time zones
    Export("the admin center's template with columns of our own", text(TEMPLATE_WITH_MORE), [{"email": ZOE, "redirect_url": "https://x.example", "groups": ["Partners"], "expires": "2026-12-31"}]),
    Export("the admin center's template, German", text(TEMPLATE), [{"email": ZOE, "redirect_url": "https://x.example", "send_message": True, "message": "Grüße"}], bad=[4]),
    Export("Graph, JSONL", text('{"mail": "ann@partner.example", "userPrincipalName": "x@y.example", "givenName": "Ann", "surname": "Lee"}', end="\n"), [(ANN, "Ann Lee")], described=["JSONL"]),
    Export("results, fed back", text(f"row,email,display_name,ref,{OUTCOMES}\n1,{ANN},'=Ann,7,failed,,,,true,x,y,z,1,"), [{"email": ANN, "display_name": "=Ann", "ref": "7"}]),
    Export("a list with Mail, and outcomes beside it", text(f"Mail,Status,{OUTCOMES}\n{ANN},active,failed,,,,true,x,y,z,1,"), [(ANN, "")]),
    # What sticks to a cell
    Export("copied cells", text(f"email,display_name\n\u00a0{ANN}\u200b ,\u00a0Zoë\u00a0Groß\u00a0\nmailto:{ZOE}?subject=x,Zoë\n\"Lee, Ann <{JOERG}>\",\n<b@x.example>;,B"), [(ANN, "Zoë Groß"), (ZOE, "Zoë"), (JOERG, "Lee, Ann"), ("b@x.example", "B")]),
    # Excel workbooks
    Export("workbook, titles and groups of columns", sheet(titled), GERMAN_ROWS, described=["Excel sheet", "headings in row 5"]),
    Export("workbook, two rows of headings", sheet(two_rows_of_headings), [(JOERG, "Jörg Müller")]),
    Export("workbook, one heading over two columns", sheet(merged_email), [(ANN, "Ann")], asked=["column B", "column C"], answer=2),
    Export("workbook, hidden row", sheet(with_hidden), [(ANN, ""), (ZOE, "")], asked=["leave it out", "invite it too"], answer=1),
    Export("workbook, hidden row taken along", sheet(with_hidden), [(ANN, ""), (JOERG, ""), (ZOE, "")], options=ListOptions(hidden="include"), described=["1 hidden row read too"]),
    Export("workbook, filtered", sheet(filtered), [(ANN, "")], asked=["leave them out", "invite them too"], answer=1),
    Export("workbook, filtered, left out", sheet(filtered), [(ANN, "")], options=ListOptions(hidden="skip"), described=["2 hidden rows left out"]),
    Export("workbook, kinds of cells", sheet(typed), [{"email": ANN, "ref": "1234567", "send_message": False, "last_name": "Ann", "display_name": "Ann"}], bad=[3], warned="formula"),
    Export("workbook, guests on the second sheet", sheet([["Lies mich"]], ("Gäste", [["E-Mail"], [ANN]])), [(ANN, "")], asked=["“Gäste”"], answer=1),
    Export("workbook, a sheet that was named", sheet([["email"], [ZOE]], ("Partner", [["E-Mail"], [ANN]])), [(ANN, "")], options=ListOptions(sheet="partner")),
    Export("workbook, a sheet that is not there", sheet([["email"], [ZOE]]), refused=["no sheet “Partner”; it has “Sheet”"], options=ListOptions(sheet="Partner")),
    Export("workbook, headings only", sheet([["email"]]), refused=["headings but no rows"]),
    Export("workbook, empty", sheet([]), refused=["is empty"]),
    Export("workbook, cut off", sheet(titled)[:-300], refused=["damaged", "Excel"]),
    Export("workbook, damaged inside", replaced(sheet(titled), "xl/worksheets/sheet1.xml", lambda data: data[:400]), refused=["damaged"]),
    Export("workbook, a bomb of entities", replaced(sheet(titled), "xl/worksheets/sheet1.xml", lambda data: data.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet', 1)), refused=["damaged"]),
    Export("workbook, a row beyond Excel's last", replaced(sheet([["email"], [ANN]]), "xl/worksheets/sheet1.xml", lambda data: data.replace(b'<row r="2"', b'<row r="900000000"')), refused=["damaged"]),
    Export("binary workbook", replaced(sheet([["email"]]), "xl/workbook.xml", lambda data: data).replace(b"xl/workbook.xml", b"xl/workbook.bin"), refused=[".xlsb"]),
    Export("old workbook, or one with a password", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), refused=["old Excel workbook", "password", ".xlsx"]),
    Export("a web page called .xls", b"<html><table><tr><td>email</td></tr></table></html>", refused=["is a web page", ".xlsx"]),
    Export("a zip file", replaced(sheet([["email"]]), "x", lambda data: data).replace(b"xl/", b"yl/"), refused=["is a zip file"]),
    Export("a PDF", b"%PDF-1.7\n1 0 obj", refused=["is a PDF"]),
]  # fmt: skip
