"""`python -m pregao` is the command `pregao`."""

from pregao.edges.cli import main

if __name__ == "__main__":
    main()
