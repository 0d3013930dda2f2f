"""Access to the console: who asks, by which credential, and what they may do.

Begin reading at `viewer.py` (who) and `need.py` (what a route asks for); `guard.py` stands before
every route.
"""
