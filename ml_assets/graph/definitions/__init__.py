"""From declarations to Dagster definitions: components, jobs and resources."""
