"""`python -m cli`: the same as `usher`."""

from cli import main

main()
