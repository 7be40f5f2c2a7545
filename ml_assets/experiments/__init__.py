"""Tests in production: assignment, sequential tests, off-policy estimates, interleaving and bandits."""
