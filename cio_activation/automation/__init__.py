"""Automation: one job per lane, the schedule and the sensor that start them, and the alert when one fails."""
