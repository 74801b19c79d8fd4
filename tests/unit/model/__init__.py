"""An explicit-state model of the row protocol: one task, two workers, a layer that loses and
repeats messages.

Not modelled: due times, revocation, an operator's retry, failover of the database, pruning.
"""
