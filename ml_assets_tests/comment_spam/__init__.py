"""A use case with labeling functions: which comments are spam? Generated, so that every truth is known."""
