"""Runs started by a program: on the instance that the UI shows, and step by step over history."""
