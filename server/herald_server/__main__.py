"""`python -m herald_server` is `herald`."""

from herald_server.cli.main import main

if __name__ == "__main__":
    main()
