"""The pages of the console: what people do who have a browser and no shell. Begin reading at
`routes.py`, then `page.py`.

A page shows what the calls of `tasks` and `worker` say, and sends what its forms hold to the same
calls as the command does; it decides nothing by itself.
"""
