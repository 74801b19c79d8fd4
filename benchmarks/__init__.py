"""Side-by-side runs of `channels://` and of stock Celery over `redis://` on the same servers."""
