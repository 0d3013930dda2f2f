"""The control API under `/_sandbox/`: what a test or a person reads from the sandbox, and does to
it while it runs. docs/sandbox.md lists all of it.
"""
