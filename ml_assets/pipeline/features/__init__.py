"""Labels, examples and features of drops, by which definitions, and which drops are closed."""
