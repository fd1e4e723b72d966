"""The warehouse: one DuckDB file behind one lock, its migrations, and what every room needs to speak SQL to it."""
