"""What can go wrong with a test server."""


class ServerError(RuntimeError):
    """A server could not be found, did not start or did not answer; the message has its log."""
