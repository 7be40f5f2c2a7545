"""The use case, frozen and typed, and the value types that all rooms share.

It describes and checks declarations; it computes nothing from data and imports no other room.
"""
