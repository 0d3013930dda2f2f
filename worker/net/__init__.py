"""The way out to other hosts: trust, proxies, and when to try again."""
