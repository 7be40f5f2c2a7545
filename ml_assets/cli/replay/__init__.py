"""Commands that run history: replay and demo."""
