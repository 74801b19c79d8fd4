"""What operators see, on PostgreSQL."""
