"""Faults of the layer under real workers and under load."""
