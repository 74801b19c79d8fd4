"""The shop itself: a plain Django app with tasks."""
