"""`usher connections` adds, checks, holds, removes connections. Begin reading at `commands.py`."""
