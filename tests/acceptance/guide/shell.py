"""Types an interactive session, read from the standard input, into a shell of the project."""

import doctest
import sys

import django


def main() -> int:
    """Run the session and return whether it went otherwise than it says."""
    django.setup()
    session = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "session", None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    results = runner.run(session)
    assert results.attempted, "nothing was typed"
    return int(bool(results.failed))


if __name__ == "__main__":
    sys.exit(main())
