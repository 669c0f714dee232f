"""What both sides must agree on: the words, the wire, the codec and the settings."""

# The one place of the version; pyproject.toml reads it from here. Asking the installed package for it would cost every
# command line a fifth of its start-up.
__version__ = "0.1.0"

__all__ = ["__version__"]
