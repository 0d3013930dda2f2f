"""A command follows its job until the job ends or waits for somebody, and tells how it went.

Begin reading at `follow.py`; `when_to_stop.py` is the pure part.
"""
