"""The vendors' stand-ins, each running, with a plain HTTP client beside it: nothing of the project's own."""
