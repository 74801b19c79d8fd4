"""What goes on, as the open pages see it."""
