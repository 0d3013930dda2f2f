"""Results say how every row ended, in the form that was asked for.

Begin reading at `write.py`.
"""
