"""Everything that the demo starts, and how it ends."""
