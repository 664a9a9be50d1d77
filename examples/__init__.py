"""Providers of a user's own, to start from. twistd finds them with PYTHONPATH=. from the project's root."""
