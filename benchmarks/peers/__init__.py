"""How others do it: small programs as their documentation suggests, in an environment of their own
(`requirements.lock`).
"""
