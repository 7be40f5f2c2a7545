"""What a declaration does with rows: its SQL tests."""
