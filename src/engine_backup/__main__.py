"""`python -m engine_backup`."""

from engine_backup.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
