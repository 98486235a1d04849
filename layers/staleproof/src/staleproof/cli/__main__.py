"""`python -m staleproof.cli` is the `staleproof` command, where no script is installed."""

from staleproof.cli.main import main

main()
