"""Guests' accounts are disabled, enabled, deleted and restored, and all of that is undone. Begin
reading at `base.py`.
"""
