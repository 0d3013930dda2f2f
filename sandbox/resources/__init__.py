"""What is done to a guest after the invitation, a resource of Graph's a module: profile, sponsors,
groups, teams, mailboxes.

`routes` lists the requests; each module has their handlers, named by operation. A handler raises
`GraphError` for what Graph refuses, and refuses what usher never sends.
"""
