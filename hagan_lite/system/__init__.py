"""Paths, files that are whole or absent, device and precision."""
