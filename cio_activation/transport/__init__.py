"""Transport: what all vendor clients share: errors, which status means what, retries, and the one HTTP client."""
