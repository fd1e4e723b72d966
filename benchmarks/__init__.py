"""What the project costs, beside the least work possible and beside another way: see README.md."""
