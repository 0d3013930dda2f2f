"""`usher producers` adds, lists and revokes the programs that submit jobs. Begin reading at
`commands.py`.
"""
