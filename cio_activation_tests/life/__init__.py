"""A simulated life: months of people, reps and both CRMs, and a judge who looks at the stand-ins only."""
