"""What became of the predictions: quality on matured outcomes.

It measures and reports; what to do about a measurement is decided in decisions/.
"""
