"""The figures of a report, one kind a file; each function takes tables and returns a matplotlib Figure."""
