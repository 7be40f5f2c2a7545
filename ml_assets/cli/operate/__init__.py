"""Commands that run drops and tell how things stand: land, batch, status, alerts, drift, sql, ui, corrections."""
