"""Joins plans and drivers; owns resources."""
