"""Back up a complete oVirt engine into one file, and bring the engine back."""

__version__ = "0.1.0"
