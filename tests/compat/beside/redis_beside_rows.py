"""The backend `cq` under a name that begins with `redis`.

Celery's tests look at that name to learn whether there is a Redis server for the notes that their
tasks leave; without it they skip themselves. There is one here, beside the rows.
"""

from cq_compat.backend import CqBackend

__all__ = ["CqBackend"]
