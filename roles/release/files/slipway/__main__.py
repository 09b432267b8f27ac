"""Entry point of the zip application."""

from slipway.cli import main

raise SystemExit(main())
