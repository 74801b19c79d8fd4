"""Pure parts of the PostgreSQL layer."""
