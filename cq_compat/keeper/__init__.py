"""What keeps the promise while workers, publishers and layers come and go.

Every worker has a keeper, a thread that renews the worker's lease. One keeper for each broker leads
and does what has to be done once: it sends what is due or lost and gives the tasks of dead workers
to others.
"""

from cq_compat.keeper.keeper import Keeper

__all__ = ["Keeper"]
