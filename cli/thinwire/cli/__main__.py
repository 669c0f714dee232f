"""`python -m thinwire.cli` is `thinwire`, whatever the PATH."""

from thinwire.cli.main import main

if __name__ == "__main__":
    main()
