"""Sections of a study across time."""
