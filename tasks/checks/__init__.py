"""A check says whether something works: a connection, its permissions and credential, the whole
installation.

Begin reading at `connection.py`.
"""
