"""Deliveries, for the runtime: what their stations are given, the way back that is rehearsed, and what is written at the end."""
