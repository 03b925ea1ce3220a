"""What stops a command: each is told to the operator as one line, without a traceback."""


class StartError(Exception):
    """Something outside Konsil stands in the way: a port, a directory, Redis. Exit code 1.

    The message says what is wrong and what to do, in one line, and holds no secret.
    """

    exit_code = 1


class SettingsError(StartError):
    """A setting is missing, wrong or contradicts another. Exit code 2."""

    exit_code = 2
