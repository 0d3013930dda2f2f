"""A list is looked at before it is let go: read, loaded, refused where too much of it is wrong,
planned.

Begin reading at `preparing.py`. The command asks and shows in between; the HTTP API goes through at
once.
"""
