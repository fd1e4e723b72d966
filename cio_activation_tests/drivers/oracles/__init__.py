"""Second opinions: what should be, worked out by code that shares nothing with what it judges."""
