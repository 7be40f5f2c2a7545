"""Training sets, candidates, models trained again, and what could be left out of them."""
