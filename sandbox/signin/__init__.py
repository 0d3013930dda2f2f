"""People sign in at the sandbox, and programs get tokens for the console's API: Entra's
authorization code flow, app roles, id tokens and their keys.

Begin reading at `service.py`.
"""
