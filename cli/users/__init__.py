"""`usher users` shows who is in a tenant, members too. Begin reading at `commands.py`."""
