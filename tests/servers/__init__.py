"""Real servers for tests, benchmarks and demonstrations: each a class, used as a context manager."""
