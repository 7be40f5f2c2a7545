"""Pages, charts, pictures and Markdown tables about what the steps found. No Dagster, and nothing is decided here."""
