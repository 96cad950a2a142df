"""The nouns. Frozen pydantic models and the canonical bytes that name them; imports nothing else of this package."""
