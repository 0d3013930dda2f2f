"""A connection signs in with whatever credential it has, and gets an access token.

Begin reading at `tokens.py`; `msal_app.py` is the one door to MSAL.
"""
