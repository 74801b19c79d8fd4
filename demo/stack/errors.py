"""Why the demo ends."""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class Stopped(Exception):
    """Somebody pressed Ctrl-C, or asked for the end in another way."""
