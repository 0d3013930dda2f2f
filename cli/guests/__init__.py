"""`usher guests`: shows a tenant's guests, and what is held about one person. Begin reading at
`commands.py`.
"""
