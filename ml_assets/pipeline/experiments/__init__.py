"""Experiments: who is in which arm, how arms compare, and what the system and people decide about them."""
