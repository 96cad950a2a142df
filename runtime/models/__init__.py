"""Models: a port of one method, the adapters that fill it, and the record of every exchange."""
