"""`usher producers` adds, lists, revokes programs that submit jobs; begin at `commands.py`."""
