"""The world that the stand-ins show: an order history replayed on a clock, and everything made up around it."""
