"""Actions: what a human is asked to do for an entry, from its plan to its end; alike in every CRM."""
