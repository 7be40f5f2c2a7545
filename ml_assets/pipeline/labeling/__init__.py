"""Labels of functions and people: votes by drop, the label model as of a drop, and labels to train on."""
