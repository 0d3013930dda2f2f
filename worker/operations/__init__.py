"""An operation is what may be done to a guest; each is a module here.

Begin reading at `operation.py`, the protocol; `invite.py` is the first operation, `registry.py`
names all of them.
"""
