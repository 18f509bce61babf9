"""The public test-suite of the Python array API standard, run on `fnad.numpy`; see `__main__`."""
