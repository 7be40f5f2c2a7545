"""From landed files to accepted rows and quarantined rows with reasons.

Counts reconcile here: accepted plus quarantined is landed; no row is dropped and none is repaired unseen.
"""
