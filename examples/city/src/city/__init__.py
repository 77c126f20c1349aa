"""The city's own project."""
