"""Analysis of a repository by three agents, without a model: architecture, code and patterns, infrastructure and testing.

Each module is one agent: a function of an AgentMessage that reads files, imports nothing of the repository and writes nothing. `analyse.py` runs
all three as a phase. Source: E1.
"""
