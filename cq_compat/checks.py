"""System checks for what would silently lose tasks."""
