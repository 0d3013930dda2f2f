"""Headings are made of these words, in twelve languages, from Graph, Entra, Exchange, address books
and HR systems.

One table and nothing else, in people's own spelling; `headings` folds it. English, German, French,
Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Danish, Norwegian and Japanese, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "email": """
        email, email address, email id, smtp, smtp address, primary smtp address, mail address, invitee email, invited user email,
        invited user email address, guest email, guest email address, user email
        E-Mail-Adresse, E-Mail-Adr., Mailadresse, Gast-E-Mail, E-Mail Gast
        adresse e-mail, adresse mail, courriel, adresse courriel, courrier électronique, adresse électronique, adresse de messagerie
        correo, correo electrónico, dirección correo, dirección de correo, dirección correo electrónico, dirección e-mail,
        dirección de correo electrónico, dirección de e-mail
        indirizzo e-mail, indirizzo mail, posta elettronica, indirizzo posta elettronica, indirizzo di posta elettronica
        endereço e-mail, endereço de e-mail, correio eletrônico, correio electrónico, endereço de correio eletrônico,
        endereço de correio electrónico
        e-mailadres, mailadres
        adres e-mail, adres mailowy, poczta elektroniczna, adres poczty elektronicznej
        e-post, e-postadress, mejl, mejladress, mailadress
        e-mailadresse
        e-postadresse, epostadresse
        メールアドレス, メール, Eメール, Eメールアドレス, 電子メール, 電子メールアドレス, emailアドレス
    """,
    "display_name": """
        display name, full name, invited user display name, employee name, guest name, first and last name
        Anzeigename, vollständiger Name, vollstaendiger Name, voller Name, Gesamtname, Name und Vorname, Name Vorname, Nachname Vorname,
        Vorname Nachname, Vorname Name, Vor- und Nachname, Vorname und Name, Vorname und Nachname
        nom affiché, nom d'affichage, nom complet, nom et prénom, nom prénom, prénom nom, prénom et nom
        nombre para mostrar, nombre completo, nombre y apellido, nombre y apellidos, nombre apellidos, apellidos y nombre
        nome visualizzato, nome completo, nome e cognome, nome cognome, cognome e nome, cognome nome, nominativo
        nome de exibição, nome para exibição, nome a apresentar, nome e sobrenome, nome e apelido
        weergavenaam, volledige naam, voor- en achternaam
        nazwa wyświetlana, imię i nazwisko, nazwisko i imię, pełne imię i nazwisko
        visningsnamn, fullständigt namn, för- och efternamn
        visningsnavn, vist navn, fulde navn, fuldt navn, for- og efternavn
        fullt navn, for- og etternavn
        氏名, 表示名, フルネーム
    """,
    "first_name": """
        first name, given name, forename
        Vorname, Vornamen, Rufname
        prénom, prénoms
        nombre de pila, primer nombre
        nome di battesimo
        primeiro nome, nome próprio
        voornaam, roepnaam
        imię, imiona
        förnamn, tilltalsnamn
        fornavn
        名, 下の名前
    """,
    "last_name": """
        last name, surname, family name, sn
        Nachname, Familienname, Zuname
        nom de famille
        apellido, apellidos, primer apellido
        cognome
        sobrenome, apelido, último nome
        achternaam, familienaam
        nazwisko
        efternamn
        efternavn
        etternavn
        姓, 氏, 名字, 苗字
    """,
    "redirect_url": """
        invite redirect url, redirection url
        Weiterleitungs-URL, Zieladresse, URL de redirection, URL de redirección, Omdirigerings-URL
    """,
    "message": """
        customized message body, Nachricht, mensaje, messaggio, mensagem, bericht, wiadomość, meddelande, besked, melding, メッセージ
    """,
    "language": """
        preferred language, message language
        Sprache, Langue, Idioma, Lingua, Taal, Język, Språk, Sprog, 言語
    """,
    "cc": "copy to, Kopie an, Copie à, Copia a",
    "send_message": "send invitation message, send email",
    "user_type": "invited user type, Benutzertyp, Type d'utilisateur, Tipo de usuario, Brukertype",
    "company": """
        company name, organization, organisation, organization name, employer
        Firma, Firmenname, Unternehmen, Organisation, Arbeitgeber
        entreprise, société, nom de l'entreprise, nom de la société, employeur
        empresa, compañía, nombre de la empresa, nombre de empresa, organización
        azienda, società, ragione sociale, nome azienda, nome società, organizzazione
        organização, nome da empresa
        bedrijf, bedrijfsnaam, organisatie
        nazwa firmy, przedsiębiorstwo, organizacja
        företag, företagsnamn
        virksomhed, virksomhedsnavn, firmanavn
        selskap, bedrift, firmanavn, virksomhet, organisasjon
        会社, 会社名, 勤務先
    """,
    "department": """
        Abteilung
        département
        departamento
        dipartimento, reparto
        setor
        afdeling
        dział, wydział
        avdelning
        avdeling
        部署, 部門
    """,
    "job_title": """
        jobtitel
        Stellenbezeichnung, Berufsbezeichnung, Funktion
        fonction, intitulé de poste, intitulé du poste, titre du poste
        puesto, cargo, puesto de trabajo, función
        mansione, qualifica, posizione lavorativa
        função
        functie, functietitel
        stanowisko
        befattning, jobbtitel
        stilling, stillingsbetegnelse
        stillingstittel, jobbtittel
        役職, 職位
    """,
    "usage_location": """
        Verwendungsstandort, Nutzungsstandort, Verwendungsort, Nutzungsort
        lieu d'utilisation, emplacement d'utilisation
        ubicación de uso, lugar de uso
        località di utilizzo, posizione di utilizzo, paese di utilizzo
        local de uso, local de utilização, localização de utilização
        gebruikslocatie
        lokalizacja użytkowania, miejsce użytkowania
        användningsplats
        brugssted, brugsplacering
        brukssted, bruksplassering
        利用場所
    """,
    "phone": """
        phone number, telephone, telephone number, business phone, business phones, office phone, work phone
        Telefon, Telefonnummer, Tel, Rufnummer, geschäftliches Telefon, Telefon geschäftlich
        téléphone, numéro de téléphone, téléphone professionnel
        teléfono, número de teléfono, teléfono del trabajo
        telefono, numero di telefono, telefono ufficio
        telefone, número de telefone
        telefoon, telefoonnummer
        numer telefonu
        telefonnummer, 電話, 電話番号
    """,
    "expires": """
        expiry, expiry date, expiration, expiration date, expires on, valid until, access until
        Ablauf, Ablaufdatum, läuft ab, läuft ab am, gültig bis, Zugang bis
        expiration, date d'expiration, expire le, valable jusqu'au
        caducidad, fecha de caducidad, caduca, válido hasta, fecha de vencimiento
        scadenza, data di scadenza, valido fino al
        validade, data de validade, data de expiração, válido até
        vervaldatum, geldig tot
        data wygaśnięcia, ważne do
        utgångsdatum, giltig till
        udløb, udløbsdato, udløber, gyldig til
        utløp, utløpsdato, utløper, gyldig til
        有効期限
    """,
    "sponsors": """
        sponsor, guest sponsor, guest sponsors
        Sponsoren, Gastsponsor, Gastsponsoren
        parrain, parrains, commanditaire, commanditaires
        patrocinador, patrocinadores, responsable del invitado
        sponsor dell'ospite, patrocinatore
        patrocinadores
        sponsoren
        sponsorzy
        sponsorer
        スポンサー
    """,
    "groups": """
        group, group membership, group memberships, security group, security groups, member of
        Gruppe, Gruppen, Gruppenmitgliedschaft, Gruppenmitgliedschaften, Sicherheitsgruppe, Sicherheitsgruppen, Mitglied von
        groupe, groupes, groupe de sécurité, groupes de sécurité, membre de
        grupo, grupos, grupo de seguridad, grupos de seguridad, miembro de
        gruppo, gruppi
        grupo de segurança, grupos de segurança
        groep, groepen
        grupa, grupy
        grupp, grupper
        gruppemedlemskap, medlem av
        グループ
    """,
    "new_email": """
        new email, new e-mail, new mail, new email address, new address
        neue E-Mail, neue Mail, neue E-Mail-Adresse, neue Adresse
        nouvel e-mail, nouvelle adresse e-mail, nouvelle adresse
        nuevo correo, nuevo correo electrónico, nueva dirección
        nuova e-mail, nuovo indirizzo, nuovo indirizzo e-mail
        novo e-mail, novo endereço, novo endereço de e-mail
        nieuw e-mailadres
        nowy adres e-mail
        ny e-post, ny e-postadress
        ny e-mail, ny e-mailadresse
        ny e-postadresse
        新しいメールアドレス
    """,
    "teams": """
        Microsoft Teams, Microsoft Team, MS Teams, Teams-Teams, team membership, team memberships
        Teammitgliedschaft, Teammitgliedschaften
        équipe Teams, équipes Teams
        equipo de Teams, equipos de Teams
        teammedlemskap
    """,
}
"""For each field the headings that can only mean it, beside the field's own name.

A column called "Team" or "Position" is as often something else in a list of people, and "Mobile" is
a second number beside a first: `--map` names those.
"""

SIGN_IN_NAMES: Final = """
    user principal name, upn
    Benutzerprinzipalname
    nom principal de l'utilisateur, nom d'utilisateur principal
    nombre principal de usuario, nombre principal del usuario
    nome principale utente, nome dell'entità utente, nome principal do utilizador, nome UPN
    user principal-naam, główna nazwa użytkownika, användarens huvudnamn, brugerhovednavn, brukerhovednavn, ユーザープリンシパル名
"""
"""An address nearly always, and taken for one where the list has nothing better."""

NAMES: Final = "name, nom, naam, namn, navn, お名前"
"""A whole name, or the last name where another column holds the first."""
GIVEN_NAMES: Final = "nombre, nome, 名前"
"""A whole name, or the first name where another column holds the last."""

WHICH: Final = """
    work, business, office, company, corporate, personal, private, home, primary, preferred
    geschäftlich, geschaeftlich, geschäftliche, geschaeftliche, dienstlich, dienstliche, beruflich, berufliche, Firma, Firmen, privat,
    Arbeit, Büro, buero, primäre, primaere
    pro, professionnel, professionnelle, travail, bureau, entreprise, personnel, personnelle, perso, privé, privée, principal, principale
    trabajo, profesional, empresa, laboral, particular, privado, corporativo, oficina
    lavoro, aziendale, ufficio, personale, privata, privato
    trabalho, comercial, profissional, pessoal
    werk, zakelijk, zakelijke, privé
    służbowy, firmowy, prywatny, praca
    arbete, jobb
    arbejde, arbejds
    arbeid
    会社, 勤務先, 仕事, 個人, 自宅
"""
"""What people put before or after the word for e-mail. One column with such a heading is the
address; two are a question.
"""

FURTHER: Final = """
    secondary, other, alternate, alternative, sekundäre, sekundaere, weitere, alternativ, secondaire, autre, secundario, alternativo, otro
    secondario, secondaria, alternativa, secundário, outro, andere, inny, drugi, dodatkowy, annan, anden, annen, 予備, その他
"""
"""A further address, never the one that is meant where there is a first."""

REMARKS: Final = """
    required, optional, Pflichtfeld, Pflicht, erforderlich, obligatoire, requis, facultatif, obligatorio, requerido, opcional
    obbligatorio, facoltativo, richiesto, obrigatório, verplicht, vereist, optioneel, wymagane, opcjonalne, obligatorisk, krävs, valfri
    påkrævet, påkrevd, valgfri, valgfritt, 必須, 任意
"""
"""`E-Mail (required)`: said about the cell, not about its meaning."""
