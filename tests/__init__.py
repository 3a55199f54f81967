"""All tests; see README.md here."""
