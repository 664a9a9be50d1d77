"""Conformance suites of others against our servers: what they need on our side. Nothing of theirs is kept here."""
