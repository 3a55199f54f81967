"""`python -m agents`: the command `ebbtide`."""

from agents.cli import main

main()
