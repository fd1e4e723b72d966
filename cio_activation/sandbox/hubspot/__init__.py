"""The stand-in for HubSpot: one account in memory, at the paths of the real API."""
