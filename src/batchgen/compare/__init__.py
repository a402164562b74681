"""Side by side: contact sheets of a run's pictures."""
