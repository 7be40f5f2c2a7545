"""Labels that cost nothing or little: votes of functions and people, what they are worth, and how far they agree.

What goes in are matrices of votes and gold labels; what comes out are probabilities, verdicts and figures. No tables.
"""
