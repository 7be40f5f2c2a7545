"""The record of verdicts: what serves which drops, and what people decide about models."""
