"""The sample of people that a human looks at, here and there side by side, before signing an audience."""
