"""From landed files to accepted rows and the ledger, and which drops are ready to run."""
