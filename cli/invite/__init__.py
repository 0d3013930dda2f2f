"""`usher invite` takes a list or addresses from reading to sending. Begin reading at
`command.py`.
"""
