"""Parts of the adapter of other layers."""
