"""Values of examples as they were known at a moment.

Everything that could see the future is computed here and nowhere else; what a model does with
the values is not known here.
"""
