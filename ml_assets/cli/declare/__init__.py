"""Commands about what is declared: new, validate, test, sources, features."""
