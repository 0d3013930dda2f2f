"""A row of a list has fields; here is what each may hold, and what is wrong with a row.

Begin reading at `row.py`; `field_rules.py` has a rule a field.
"""
