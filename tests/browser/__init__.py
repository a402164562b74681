"""A package, so that Chromium, a fixture of scope `package`, ends with it and does not run beside the other tests."""
