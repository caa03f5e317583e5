"""What to do: pure functions from a request and facts to a plan."""
