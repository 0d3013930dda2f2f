"""The way out to other hosts: whom usher trusts, and by which proxy it goes.

Begin reading at `tls.py`.
"""
