"""A chunk that is due becomes rows that were sent, recorded and settled.

Begin reading at `dispatcher.py`; then `runner.py`, `chunk_run.py` (a batch) and `reactions.py`
(what trouble means).
"""
