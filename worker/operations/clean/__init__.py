"""The clean-up of a tenant's guests by rule. Begin reading at `policy.py`, which decides."""
