"""Sensors and schedules: what starts runs by itself, and what tells people."""
