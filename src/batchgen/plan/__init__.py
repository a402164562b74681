"""From a manifest to a plan: pure, but for reading the prompt files that a manifest names."""
