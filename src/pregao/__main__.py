"""
`python -m pregao` is the command `pregao`.

A role is served without what reads command lines: it would keep ten megabytes of it for as long as it runs.
"""

import sys

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", role] if not role.startswith("-"):
            from pregao.edges.processes.serving import serve

            raise SystemExit(serve(role))
        case _:
            from pregao.edges.cli import main

            main()
