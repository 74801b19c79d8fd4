"""Tests of the test servers: they start, fail clearly, and never outlive their parent."""
