"""The private stack runs a server, a worker and the rest on one machine, for the commands that need
them.

Begin reading at `supervisor.py`.
"""
