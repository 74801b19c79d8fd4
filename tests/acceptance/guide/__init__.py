"""Runs the snippets of `migration_guide/` as a reader would, in a project of their own."""
