"""Static tables of the warehouse, one numbered SQL file per change, applied once each in order."""
