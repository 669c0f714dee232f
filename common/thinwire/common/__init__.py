"""What both sides must agree on: the words, the wire, the codec and the settings."""

from importlib.metadata import version

__version__ = version("thinwire")

__all__ = ["__version__"]
