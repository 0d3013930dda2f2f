"""`usher connections` adds, checks, holds and removes connections. Begin reading at
`commands.py`.
"""
