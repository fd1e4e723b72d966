"""What tests and benchmarks drive the project with; ``README.md`` here says which driver is for which test."""
