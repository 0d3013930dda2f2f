"""`usher jobs` shows jobs, and does with them what people ask. Begin reading at `commands.py`."""
