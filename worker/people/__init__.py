"""All that is held about one person is found, exported and forgotten here.

Begin reading at `find.py`.
"""
