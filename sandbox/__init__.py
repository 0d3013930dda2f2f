"""A local stand-in for Microsoft Entra and the part of Microsoft Graph that usher uses, to try
things and to rehearse.

It is a program, not a library: `python -m sandbox` serves it over HTTPS on loopback and writes a
ready file that says where. Nothing imports it, and it imports nothing of `config`, `worker` or
`tasks`: what usher believes about Graph and what the sandbox does are written twice, so that a
mistake in one shows against the other. See docs/sandbox.md.
"""
