"""`python -m quickpulse.cli` is the command `quickpulse`."""

from quickpulse.cli.main import main

raise SystemExit(main())
