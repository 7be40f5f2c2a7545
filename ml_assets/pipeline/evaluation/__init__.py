"""Candidate, champion and baseline on rows none of them has seen: evidence and verdict."""
