"""What every stand-in is made of, and how the three are put together and run."""
