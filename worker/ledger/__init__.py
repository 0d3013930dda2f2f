"""The ledger holds every row's state in Redis and decides what is sent.

Begin reading at `keys.py` (every key) and `model.py` (the words); `batches.py` with `scripts/*.lua`
moves rows.
"""
