"""Texts that assent hands out: prompts for models and templates for people."""
