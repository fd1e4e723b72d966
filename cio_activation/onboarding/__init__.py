"""The first activation: what the accounts show is read, and a file is drafted from it for a human to finish."""
