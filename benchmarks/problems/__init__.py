"""Published test problems of numerical methods, as data."""
