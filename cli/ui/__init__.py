"""Every command shares these: terminal, questions, tables, errors, options.

Begin reading at `terminal.py`; `place.py` opens the ledger for a command.
"""
