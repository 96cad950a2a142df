"""Stations: one node a file, named as its function. A node sees the state, LangGraph's runtime, and the ports that it was bound to."""
