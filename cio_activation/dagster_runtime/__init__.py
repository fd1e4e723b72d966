"""How Dagster runs here: a launcher that forks a warm process, claims of runs, storage that stays open.

The only room that imports Dagster's private modules (``dagster._*``).
"""
