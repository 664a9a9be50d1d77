"""Tests of the load tools: mostly against servers that cheat on purpose, to see that they are caught."""
