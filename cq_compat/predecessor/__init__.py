"""Takes over what django-cq 0.3 and older has left in the database.

That app had the label ``cq``, too: its tables stand where this one's are to be, and its migrations
are recorded under names that this one has.
"""
