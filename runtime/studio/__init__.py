"""The doors that are web addresses: the Agent Server (Studio, Agent Chat UI, Agent Inbox) and our own page."""
