"""Microsoft Graph is called once or in a batch here, and its answer gets a meaning.

Begin reading at `client.py` (the call); `verdicts.py` is what an answer means.
"""
