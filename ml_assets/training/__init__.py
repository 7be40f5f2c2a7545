"""From matured examples to a fitted, measured candidate.

Splits follow time, fitting sees training rows only, and no decision about what serves is taken here.
"""
