"""`python -m tasks.cli`: the same as `usher`."""

from tasks.cli import main

main()
