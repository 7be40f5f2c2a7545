"""Commands that keep a state for years: a new release, a backup, a restore."""
