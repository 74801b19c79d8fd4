"""Tests without a running worker: pure functions, and the test servers themselves."""
