"""Use cases of other cadences than a day or a week, begun by `new` with its defaults."""
