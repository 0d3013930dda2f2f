"""Redis is a server here: clients, pipelines, Sentinels, and the seal on what is stored.

Begin reading at `client.py`.
"""
