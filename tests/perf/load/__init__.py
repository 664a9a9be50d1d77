"""Tests of the plain-socket load: against servers that err on purpose, and of its parts by themselves."""
