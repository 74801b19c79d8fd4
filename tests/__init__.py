"""Tests of django-cq, and the real servers that they start."""
