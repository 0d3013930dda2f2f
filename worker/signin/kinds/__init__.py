"""What a connection signs in with: a kind of credential is a module with `load(connection)`, which
yields what is to be tried, and a sentence for what cannot be read. Begin reading at `kind.py`.
"""
