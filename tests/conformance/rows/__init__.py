"""What the tables promise on every database that may keep them."""
