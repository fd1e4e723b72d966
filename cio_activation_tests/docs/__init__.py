"""What the documentation has to say, read from the code, and what it says, read from its pages."""
