"""Telling people: notices from the ledger's outbox to Slack, e-mail, webhooks and the terminal.

`channels` reads the configuration, `render` writes the text from the plan's bytes, `deliver` sends what is due and records what came of it; each
of `slack`, `email`, `webhook` and `terminal` knows one kind of receiver. Nothing here decides anything about a run, and no run waits for it.
"""
