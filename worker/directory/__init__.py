"""A tenant says who is there and what it allows.

Begin reading at `lookups.py` (who is there) and `rules.py` (what it allows).
"""
