"""What every room's ``assets.py`` shares on the Dagster side; the rooms' logic never imports Dagster or this room.

``partitions`` (windows behind keys), ``failures`` (errors told to Dagster), ``metadata`` (what the UI shows), ``runs``
(tags of a run, and who waits for it).
"""
