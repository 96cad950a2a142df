"""Act on the world: one tool a file. Each knows how to preview, run and, where it can, undo and probe one kind of call."""
