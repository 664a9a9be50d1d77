"""`python -m quickpulse` is the command `quickpulse`."""

from quickpulse.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
