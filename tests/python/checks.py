"""What the scripts share: a list of named checks, each of which passes or says why not.

A script prints a line for each check; the Rust side reads them and fails with those that are not well.
"""

import sys
import traceback


class Checks:
    """Collects functions; each is one check, named after the function."""

    def __init__(self):
        self._checks = []

    def __call__(self, check):
        self._checks.append(check)
        return check

    def run(self, make, only=()):
        """Runs all of them (or those named), and ends the process with 1 if one did not hold. Each is given what
        `make` makes."""
        failed = 0
        for check in self._checks:
            name = check.__name__
            if only and name not in only:
                continue
            try:
                check(make())
            except Exception as error:
                failed += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = " ".join(str(error).split())
                print(f"FAIL {name}: {type(error).__name__}: {what} (line {where.lineno})", flush=True)
            else:
                print(f"pass {name}", flush=True)
        sys.exit(1 if failed else 0)


def equal(is_value, should):
    """Both in the message: a bare assert would show neither."""
    if is_value != should:
        raise AssertionError(f"{is_value!r} instead of {should!r}")


def listening(address):
    """Tells the test where a server listens. The test waits for this line."""
    print(f"listening on {address}", file=sys.stderr, flush=True)
