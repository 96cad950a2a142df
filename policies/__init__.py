"""Decisions as pure functions, one a file, and the shipped rules as YAML beside them. No input or output, no clock, no randomness."""
