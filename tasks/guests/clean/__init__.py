"""Guests are cleaned up by rule: what is due in a tenant, and how it becomes a job. Begin reading
at `evaluating.py`.
"""
