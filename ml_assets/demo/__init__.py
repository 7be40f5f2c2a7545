"""Turns the bundled public data into drops that arrive day by day.

It knows flights; nothing outside this room and the declaration does, and it never writes to the lake.
"""
