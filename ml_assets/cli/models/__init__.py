"""Commands about models: retrain, champion, approve, rollback, explain, reproduce, audit, tuning."""
