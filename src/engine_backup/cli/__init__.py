"""Talks: options, console, exit status."""
