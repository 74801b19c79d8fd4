"""What can go wrong with a comparison, apart from the tests in it."""


class CompatError(RuntimeError):
    """The tests could not be had, or a run of them did not come to its end."""
