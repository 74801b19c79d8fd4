"""Real servers for tests and benchmarks, each a class that is used as a context manager."""
