"""The agents of the testing phase: they run the project's own tests and checks, each command through one port, and say what they saw.

Nothing here starts a process by itself: `RunCommand` does, so a caller can route every command through the ledger. Source: E5, E12.
"""
