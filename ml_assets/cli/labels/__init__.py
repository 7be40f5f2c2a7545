"""Labels that functions and people gave."""
