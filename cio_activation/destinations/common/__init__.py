"""What destinations that hold people's records do alike: kinds, whom to create, what a lane needs, gone records."""
