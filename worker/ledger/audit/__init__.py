"""The audit trail says what was done, by whom and to whom: kept longer than jobs, without an
address.

Begin reading at `trail.py`.
"""
