"""The door: everything that touches the outside (the home folder, databases, identities, models) and the Python interface to it."""
