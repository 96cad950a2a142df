"""Phases, for the runtime: the agents that work in them, the store of their reports, and what is written for people."""
