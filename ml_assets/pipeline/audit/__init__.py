"""Whether values could be known: leakage, columns that say the outcome, training beside serving."""
