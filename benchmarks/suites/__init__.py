"""The suites behind ``--suite``, each a function from options to a report."""
