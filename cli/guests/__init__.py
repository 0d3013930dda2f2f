"""`usher guests`: a tenant's guests, and what is held about one person; begin at `commands.py`."""
