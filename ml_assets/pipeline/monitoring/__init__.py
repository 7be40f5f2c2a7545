"""Feeds, drift, performance, decisions and incidents of drops."""
