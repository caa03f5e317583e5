"""A sample engine: a root directory and databases that look like a real one's, of any size, all invented."""
