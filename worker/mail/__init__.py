"""usher's own mails: what they say (`templates.py`), the message (`message.py`), the way to a mail
server (`smtp.py`).

When one is sent, and what becomes of its row, is the operation's business
(`worker/operations/mail.py`).
"""
